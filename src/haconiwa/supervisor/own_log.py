"""The log that a barn or a supervisor in the background prints to, as its hooks do, maybe for months."""

from __future__ import annotations

import os

from haconiwa.errors import HostError, describe_errno
from haconiwa.host.descriptors import is_at
from haconiwa.host.paths import log_dir, supervisor_log_file

LARGEST = 8 << 20
"""Bytes after which a log is put aside as ``.1``."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_own_log(name: str) -> int:
    """Open the log of a container's supervisor.

    Raises:
        HostError: It cannot be written.
    """
    path = supervisor_log_file(name)
    try:
        os.makedirs(log_dir(), mode=0o700, exist_ok=True)  # a container rules the mode of its log: setuid
        return os.open(path, _FLAGS, 0o600)
    except OSError as error:
        why = describe_errno(error.errno or 0)
        raise HostError(f'cannot open the log "{path}"', why=why, subject=name) from error


class OwnLog:
    """The log that stdout and stderr of this process lead to, and of no copy of it: a container has its own files.

    Args:
        name: Of the container whose supervisor's log it is.
        puts_aside: This process sees to it that it does not get too long; others that print to it follow.
    """

    def __init__(self, name: str, *, puts_aside: bool) -> None:
        self._name = name
        self._path = supervisor_log_file(name)
        self._puts_aside = puts_aside
        self._pid = os.getpid()
        self._opened = os.fstat(1)

    def renew(self) -> None:
        """Go on with another file if this one has got too long, or was put aside, moved or removed.

        What a hook has led elsewhere stays there. While no file can be opened the old one goes on.
        """
        if os.getpid() != self._pid:
            return
        try:
            ours = [fd for fd in (1, 2) if os.path.samestat(os.fstat(fd), self._opened)]
            if not ours:
                return
            if self._puts_aside and os.fstat(ours[0]).st_size > LARGEST and is_at(ours[0], self._path):
                os.rename(self._path, f"{self._path}.1")
            if not is_at(ours[0], self._path):
                self._lead(ours)
        except (OSError, HostError):
            pass

    def _lead(self, fds: list[int]) -> None:
        fd = open_own_log(self._name)
        try:
            for number in fds:
                os.dup2(fd, number)
            self._opened = os.fstat(fd)
        finally:
            os.close(fd)
