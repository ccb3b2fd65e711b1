"""The output of a container in the background, on its way to a log of the host's.

The program writes into a pipe. A process of ours reads it and appends to the log, so that the program holds no file of
the host's that it could truncate or change, and never waits: what a full disk does not take is dropped and counted. The
process lives as long as anything in the container can write, also without the supervisor.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from haconiwa.host.descriptors import close_all_but
from haconiwa.isolation.step import PARENT, SUPERVISOR, Site, Step
from haconiwa.kernel import signals as signal
from haconiwa.kernel.process import clone3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from haconiwa.errors import Where

LARGEST = 8 << 20
"""Bytes after which a log is put aside as ``.1``."""

TIMES = ".times"
"""Ends the name of the file that says when what was written: lines of an offset in the log and seconds since 1970."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK = 1 << 16
_STAMP_EVERY_S = 0.1
_ENDS_WITHIN_MS = 2000


class RelayOutput(Step):
    """Begin to lead some streams of the program to a log.

    Args:
        path: Of the log.
        streams: Numbers of the streams: 1 and 2.
        rotates: The log is one of ours, put aside when it gets too long, with the times of its lines beside it.
    """

    __slots__ = ("path", "pidfd", "rotates", "streams", "write_fd")

    def __init__(self, path: str, streams: tuple[int, ...], where: Where | None = None, *, rotates: bool) -> None:
        super().__init__(SUPERVISOR, where)
        self.path = path
        self.streams = streams
        self.rotates = rotates
        self.pidfd = -1
        self.write_fd = -1

    def describe(self) -> str:
        names = " and ".join({1: "stdout", 2: "stderr"}[number] for number in self.streams)
        return f'lead the program\'s {names} to "{self.path}"'

    def execute(self, site: Site) -> None:
        if not _is_regular(self.path):
            self._place(site, _open_directly(self.path))
            return
        log = Log(self.path, rotates=self.rotates)
        read_fd, self.write_fd = os.pipe()
        os.fchmod(self.write_fd, 0o622)  # the program may open /dev/stdout again, whoever it runs as
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid, self.pidfd = clone3(0)
            if pid == 0:
                _live(log, read_fd)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            log.close()
            os.close(read_fd)
        self._place(site, self.write_fd)

    def _place(self, site: Site, fd: int) -> None:
        fds = list(site.stdio_fds)
        for number in self.streams:
            fds[number] = fd
        site.stdio_fds = (fds[0], fds[1], fds[2])

    def hint(self, number: int) -> str:
        return "a FIFO needs a reader first" if number == errno.ENXIO else ""

    def let_go(self) -> None:
        """Close the supervisor's end, so that the container's end is the last."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
        self.write_fd = -1

    def undo(self, site: Site) -> None:
        """Wait until everything is in the log; not for processes that have left the container's groups."""
        self.let_go()
        if self.pidfd < 0:
            return
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if poll.poll(_ENDS_WITHIN_MS):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        os.close(self.pidfd)
        self.pidfd = -1


class LetGoOfOutput(Step):
    """Leave the pipes to the container alone."""

    __slots__ = ("relays",)

    def __init__(self, relays: list[RelayOutput]) -> None:
        super().__init__(PARENT)
        self.relays = relays

    def describe(self) -> str:
        return "leave the program's streams to it alone"

    def execute(self, site: Site) -> None:
        for relay in self.relays:
            relay.let_go()


class Log:
    """A log that is written to and put aside when it gets too long.

    Raises:
        OSError: It cannot be opened: EACCES, ENOENT, EROFS, ENOSPC.
    """

    def __init__(self, path: str, *, rotates: bool) -> None:
        self._path = path
        self._rotates = rotates
        self._lost = 0
        self._stamped = 0.0
        self._open()

    def _open(self) -> None:
        self.fd = os.open(self._path, _FLAGS, 0o600)
        self.times_fd = os.open(self._path + TIMES, _FLAGS, 0o600) if self._rotates else -1

    def fds(self) -> set[int]:
        """The descriptors it holds."""
        return {self.fd, self.times_fd} - {-1}

    def close(self) -> None:
        """Let go of the files."""
        for fd in self.fds():
            os.close(fd)

    def write(self, data: bytes) -> None:
        """Append, as much of it as there is room for."""
        try:
            if self._rotates:
                self._put_aside_when_long(len(data))
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
            os.write(self.times_fd, f"{os.fstat(self.fd).st_size} {now:.3f}\n".encode())
            self._stamped = now

    def _put_aside_when_long(self, more: int) -> None:
        if os.fstat(self.fd).st_size + more <= LARGEST:
            return
        for name in (self._path, self._path + TIMES):
            os.rename(name, f"{name}.1")
        before = self.fds()
        self._open()
        for fd in before:
            os.close(fd)
        self._stamped = 0.0


def _live(log: Log, read_fd: int) -> NoReturn:
    """The process; it ends with the last writer, and no signal for the supervisor's session reaches it."""
    try:
        os.setsid()
        os.chdir("/")
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        close_all_but({read_fd, *log.fds()})
        while data := os.read(read_fd, _CHUNK):
            log.write(data)
    finally:
        os._exit(0)


def _open_directly(path: str) -> int:
    """A FIFO or a device, which the program gets itself; a FIFO without a reader does not hold up the start."""
    fd = os.open(path, _FLAGS, 0o600)
    os.set_blocking(fd, True)
    return fd


def _is_regular(path: str) -> bool:
    """Whether there is an ordinary file, or nothing yet."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True
