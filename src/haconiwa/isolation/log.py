"""A log of what a container prints."""

from __future__ import annotations

import os
import time

from haconiwa.host.descriptors import is_at

LARGEST = 8 << 20
"""Bytes after which a log is put aside as ``.1``."""

TIMES = ".times"
"""Ends the name of the file that says when what was written: lines of an offset in the log and seconds since 1970."""

OPEN_LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""The flags for opening one; whatever it turns out to be, that does not wait."""

_STAMP_EVERY_S = 0.1


class Log:
    """A log that is written to and put aside when it gets too long.

    Args:
        path: Absolute, on the host.
        rotates: It is put aside, and has the times of its lines beside it.
        fds: What `fds` of another one returned, in another process; opened anew without.

    Raises:
        OSError: It cannot be opened: EACCES, ENOENT, EROFS, ENOSPC.
    """

    def __init__(self, path: str, *, rotates: bool, fds: tuple[int, ...] = ()) -> None:
        self._path = path
        self._rotates = rotates
        self._lost = 0
        self._stamped = 0.0
        if fds:
            self.fd, self.times_fd = fds if rotates else (fds[0], -1)
        else:
            self._open()

    def _open(self) -> None:
        fd = os.open(self._path, OPEN_LOG, 0o600)
        try:
            self.times_fd = os.open(self._path + TIMES, OPEN_LOG, 0o600) if self._rotates else -1
        except OSError:
            os.close(fd)
            raise
        self.fd = fd

    def fds(self) -> tuple[int, ...]:
        """The descriptors it holds."""
        return (self.fd, self.times_fd) if self._rotates else (self.fd,)

    def close(self) -> None:
        """Let go of the files."""
        for fd in self.fds():
            os.close(fd)

    def write(self, data: bytes) -> None:
        """Append, as much of it as there is room for."""
        try:
            if self._rotates:
                self._begin_anew_if_due(len(data))
                self._stamp()
            if self._lost:
                note = f"\n[{self._lost} bytes are missing here: the log could not be written]\n".encode()
                os.write(self.fd, note)
                self._lost = 0
        except OSError:
            self._lost += len(data)
            return
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except OSError:
                self._lost += len(data)
                return

    def _stamp(self) -> None:
        """Note the time, unless that was done a moment ago."""
        now = time.time()
        if abs(now - self._stamped) >= _STAMP_EVERY_S:
            size = os.fstat(self.fd).st_size
            if not size and os.fstat(self.times_fd).st_size:
                os.ftruncate(self.times_fd, 0)  # they are of a log that has gone
            os.write(self.times_fd, f"{size} {now:.3f}\n".encode())
            self._stamped = now

    def _begin_anew_if_due(self, more: int) -> None:
        """Go on with another file when this one gets too long, or somebody has removed, moved or replaced it."""
        if is_at(self.fd, self._path) and os.fstat(self.fd).st_size + more <= LARGEST:
            return
        before = self.fds()
        self._put_aside()
        self._open()
        for fd in before:
            os.close(fd)
        self._stamped = 0.0

    def _put_aside(self) -> None:
        """Rename the log; its times follow it, also where somebody else has renamed it so."""
        aside, times = f"{self._path}.1", self._path + TIMES
        if is_at(self.fd, self._path):
            os.rename(self._path, aside)
        if is_at(self.fd, aside) and is_at(self.times_fd, times):
            os.rename(times, f"{times}.1")
