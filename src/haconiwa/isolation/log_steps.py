"""The steps that lead the output of a container in the background to a log of the host's."""

from __future__ import annotations

import errno
import os
import select
import stat

from haconiwa.errors import ContainerError, describe_errno
from haconiwa.isolation.log import OPEN_LOG, Log
from haconiwa.isolation.log_relay import TAKEN, LogRelay, hand_over
from haconiwa.isolation.step import PARENT, SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where

_TAKEN_WITHIN_MS = 10000
_WRITTEN_WITHIN_MS = 2000


class RelayOutput(Step):
    """Begin to lead some streams of the program to a log.

    The process that does so is shared with others. Should it be killed, the program does not notice: the supervisor
    holds the pipe too, and lets a process of its own go on.

    Args:
        path: Of the log.
        streams: Numbers of the streams: 1 and 2.
        rotates: The log is one of ours, put aside when it gets too long, with the times of its lines beside it.
    """

    __slots__ = ("_relay", "answer_fd", "path", "read_fd", "rotates", "streams", "write_fd")

    def __init__(self, path: str, streams: tuple[int, ...], where: Where | None = None, *, rotates: bool) -> None:
        super().__init__(SUPERVISOR, where)
        self.path = path
        self.streams = streams
        self.rotates = rotates
        self.answer_fd = -1
        self.read_fd = -1
        self.write_fd = -1
        self._relay: LogRelay | None = None

    def describe(self) -> str:
        names = " and ".join({1: "stdout", 2: "stderr"}[number] for number in self.streams)
        return f'lead the program\'s {names} to "{self.path}"'

    def execute(self, site: Site) -> None:
        if not _is_regular(self.path):
            self._place(site, _open_directly(self.path))
            return
        log = Log(self.path, rotates=self.rotates)
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)  # the program may read what it has written itself
        os.fchmod(self.write_fd, 0o622)  # the program may open /dev/stdout again, whoever it runs as
        try:
            self.answer_fd = self._hand_over(site.log_relay_fd, log)
        except (BrokenPipeError, ConnectionResetError):
            self.answer_fd = self._begin_another(site, log)
        finally:
            log.close()
        site.watched[self.answer_fd] = lambda: self._goes_on(site)
        self._place(site, self.write_fd)

    def _hand_over(self, relay_fd: int, log: Log) -> int:
        return hand_over(relay_fd, log, self.path, self.read_fd, rotates=self.rotates)

    def _begin_another(self, site: Site, log: Log) -> int:
        site.report(
            ContainerError(
                "the process that writes the logs of this barn has died",
                hint=f'another one goes on with "{self.path}"',
                subject=site.spec.name,
            )
        )
        self._relay = LogRelay()
        return self._hand_over(self._relay.fd, log)

    def _goes_on(self, site: Site) -> bool:
        """What the supervisor does at the end of the answer, which is that of the output or of the process."""
        if self._is_taken():
            return True
        try:
            if self._relay is None and not _is_at_end(self.read_fd):
                self._replace(site)
                return True
        except OSError as error:
            why = describe_errno(error.errno or 0)
            site.report(ContainerError(f"cannot {self.describe()}", why=why, subject=site.spec.name))
        os.close(self.read_fd)  # better an error for the program than a pipe that nobody empties
        self.read_fd = -1
        return False

    def _replace(self, site: Site) -> None:
        log = Log(self.path, rotates=self.rotates)
        try:
            fresh_fd = self._begin_another(site, log)
        finally:
            log.close()
        os.dup2(fresh_fd, self.answer_fd, inheritable=False)  # what is watched stays the same descriptor
        os.close(fresh_fd)

    def _place(self, site: Site, fd: int) -> None:
        fds = list(site.stdio_fds)
        for number in self.streams:
            fds[number] = fd
        site.stdio_fds = (fds[0], fds[1], fds[2])

    def hint(self, number: int) -> str:
        return "a FIFO needs a reader first" if number == errno.ENXIO else ""

    def let_go(self) -> None:
        """Close the supervisor's end, so that the container's end is the last.

        Raises:
            ContainerError: Nobody reads the other one.
        """
        self._close_end()
        if self.answer_fd >= 0 and not (_is_readable(self.answer_fd, _TAKEN_WITHIN_MS) and self._is_taken()):
            raise ContainerError(
                f"cannot {self.describe()}",
                why="the process that writes the logs of this barn cannot take more of them",
                hint="it may be out of descriptors (ulimit -Hn), or wait for a disk",
                where=self.where,
            )

    def _is_taken(self) -> bool:
        return os.read(self.answer_fd, 1) == TAKEN

    def _close_end(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
        self.write_fd = -1

    def undo(self, site: Site) -> None:
        """Wait until everything is in the log; not for processes that have left the container's groups."""
        self._close_end()
        if self.read_fd >= 0:
            os.close(self.read_fd)
        if self.answer_fd >= 0:
            while _is_readable(self.answer_fd, _WRITTEN_WITHIN_MS) and self._is_taken():
                pass
            os.close(self.answer_fd)
        self.read_fd = self.answer_fd = -1
        if self._relay is not None:
            self._relay.finish()
        self._relay = None


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


def _is_readable(fd: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def _open_directly(path: str) -> int:
    """A FIFO or a device, which the program gets itself; a FIFO without a reader does not hold up the start."""
    fd = os.open(path, OPEN_LOG, 0o600)
    os.set_blocking(fd, True)
    return fd


def _is_at_end(read_fd: int) -> bool:
    """Whether nobody can write into a pipe any more, and all that was written has been read."""
    poll = select.poll()
    poll.register(read_fd, select.POLLIN)
    return poll.poll(0) == [(read_fd, select.POLLHUP)]


def _is_regular(path: str) -> bool:
    """Whether there is an ordinary file, or nothing yet."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True
