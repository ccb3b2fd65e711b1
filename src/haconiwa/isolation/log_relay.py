"""The output of containers in the background, on its way to logs of the host's.

The program writes into a pipe. A process of ours reads it and appends to the log, so that the program holds no file of
the host's that it could truncate or change, and never waits: what a full disk does not take is dropped and counted.

There is one such process for all containers of a barn. A supervisor hands it the pipe and the log over a socket; it
lives as long as somebody could do so, or anything in a container can write, also without supervisors and barn.
"""

from __future__ import annotations

import os
import select
import struct
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    SCM_RIGHTS,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    socket,
    socketpair,
)

from haconiwa.host.descriptors import close_all_but
from haconiwa.host.loop import Loop
from haconiwa.isolation.log import Log
from haconiwa.kernel import signals as signal
from haconiwa.kernel.process import clone3
from haconiwa.kernel.rlimits import RLIMIT, getrlimit, setrlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

TAKEN = b"T"
"""What the process answers once a pipe is its own. The end of its answer is that of the output, all of it written."""

_CHUNK = 1 << 16
_LONGEST_PATH = 4096
_MOST_FDS = 4
_FD_SIZE = 4
_ENDS_WITHIN_MS = 2000
_ROTATES, _STAYS = b"R", b"S"


class LogRelay:
    """The process, as the barn holds it that has begun it.

    Attributes:
        fd: Where supervisors hand over what is theirs; they inherit it.
    """

    def __init__(self) -> None:
        ours, its = socketpair(AF_UNIX, SOCK_SEQPACKET)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid, self._pidfd = clone3(0)
            if pid == 0:
                _live(its)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            its.close()
        self.fd = ours.detach()

    def finish(self) -> None:
        """Let it end with the last output; not waited for longer than processes that have left their groups deserve."""
        os.close(self.fd)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if poll.poll(_ENDS_WITHIN_MS):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)


def hand_over(relay_fd: int, log: Log, path: str, read_fd: int, *, rotates: bool) -> int:
    """Let the process of the barn lead what comes out of a pipe to a log.

    Args:
        relay_fd: `LogRelay.fd`.
        log: Where it leads.
        path: Of the log.
        read_fd: Of the pipe.
        rotates: As of the log.

    Returns:
        A descriptor to read its answer from.

    Raises:
        OSError: EPIPE or ECONNRESET: it has been killed.
    """
    answer_fd, its_fd = os.pipe()
    fds = (its_fd, read_fd, *log.fds())
    message = (_ROTATES if rotates else _STAYS) + os.fsencode(path)
    relay = socket(fileno=relay_fd)
    try:
        relay.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))])
    except BaseException:
        os.close(answer_fd)
        raise
    finally:
        relay.detach()
        os.close(its_fd)
    return answer_fd


def _live(connection: socket) -> NoReturn:
    """The process; no signal for the session of whoever began it reaches it."""
    try:
        os.setsid()
        os.chdir("/")
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        close_all_but({connection.fileno()})
        _soft, hard = getrlimit(RLIMIT.NOFILE)
        setrlimit(RLIMIT.NOFILE, hard, hard)
        _Relaying(connection).run()
    finally:
        os._exit(0)


class _Relaying:
    """What the process does.

    Args:
        connection: To barn and supervisors.
    """

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._loop = Loop()
        self._open: set[int] = {connection.fileno()}

    def run(self) -> None:
        """Work until nobody can write any more."""
        self._loop.watch(self._connection.fileno(), lambda _events: self._receive())
        self._loop.run_until(lambda: not self._open)

    def _receive(self) -> None:
        size = CMSG_SPACE(_MOST_FDS * _FD_SIZE)
        message, ancillary, flags, _ = self._connection.recvmsg(_LONGEST_PATH + 1, size, MSG_CMSG_CLOEXEC)
        fds = [fd for _level, _type, data in ancillary for fd in struct.unpack(f"{len(data) // _FD_SIZE}i", data)]
        if flags & MSG_CTRUNC:  # no more descriptors: the end of the answer says so
            for fd in fds:
                os.close(fd)
        elif message:
            self._take(message, fds)
        else:
            self._let_go(self._connection.fileno())

    def _take(self, message: bytes, fds: list[int]) -> None:
        answer_fd, read_fd, *log_fds = fds
        log = Log(os.fsdecode(message[1:]), rotates=message[:1] == _ROTATES, fds=tuple(log_fds))
        self._open.add(read_fd)
        self._loop.watch(read_fd, lambda _events: self._relay(read_fd, log, answer_fd))
        try:
            os.write(answer_fd, TAKEN)
        except BrokenPipeError:
            pass  # the supervisor has died meanwhile; its container may live

    def _relay(self, read_fd: int, log: Log, answer_fd: int) -> None:
        try:
            data = os.read(read_fd, _CHUNK)
        except BlockingIOError:
            return  # the program was quicker to read its own output
        if data:
            log.write(data)
            return
        self._let_go(read_fd)
        log.close()
        os.close(answer_fd)

    def _let_go(self, fd: int) -> None:
        self._loop.unwatch(fd)
        self._open.discard(fd)
        os.close(fd)
