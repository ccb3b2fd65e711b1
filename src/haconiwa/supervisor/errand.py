"""Errands: what could take long is done by a short-lived child, so that the supervisor's one thread never waits."""

from __future__ import annotations

import os
import select

from haconiwa.host.descriptors import write_all
from haconiwa.host.loop import Loop
from haconiwa.kernel import signals as signal
from haconiwa.kernel.process import set_pdeathsig
from haconiwa.lifecycle.identity import signal_process
from haconiwa.lifecycle.init import reset_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BYTES = 1 << 20
_END_WITHIN_S = 1.0


class Errand:
    """A child at work. It dies with the supervisor.

    Args:
        loop: Where it is waited for.
        work: Runs in the child; its result is the answer, and an exception none.
        done: Called with the answer; None when there is none, or it took too long.
        timeout_s: After which the child is ended.
    """

    def __init__(
        self, loop: Loop, work: Callable[[], bytes], done: Callable[[bytes | None], None], timeout_s: float
    ) -> None:
        self._loop = loop
        self._done = done
        self._content = b""
        self._given_up = False
        self._read_fd, write_fd = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _run(work, write_fd)
        except OSError:
            os.close(self._read_fd)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(write_fd)
        self._pidfd = os.pidfd_open(self._pid)
        self._timer = loop.call_after(timeout_s, self.cancel)
        os.set_blocking(self._read_fd, False)
        loop.watch(self._read_fd, lambda _events: self._read())
        loop.watch(self._pidfd, lambda _events: self._ended())

    def cancel(self) -> None:
        """Tell the child to end; there will be no answer, once it has. Harmless when it has ended."""
        if self._pidfd >= 0 and not self._given_up:
            self._given_up = True
            self._timer.cancel()
            self._timer = self._loop.call_after(_END_WITHIN_S, lambda: signal_process(self._pidfd, signal.SIGKILL))
            signal_process(self._pidfd, signal.SIGTERM)

    def abandon(self) -> None:
        """End the child, wait for that, and call nothing back."""
        self._done = lambda _answer: None
        if self._pidfd >= 0:
            end(self._pidfd)
            self._finish()

    def _read(self) -> bool:
        """Take in a part of the answer, if there is one; the end of it is not the child's end."""
        try:
            chunk = os.read(self._read_fd, 65536)
        except BlockingIOError:
            return False
        self._content += chunk
        if len(self._content) > _MOST_BYTES:
            self.cancel()
        if not chunk or self._given_up:
            self._loop.unwatch(self._read_fd)
            return False
        return True

    def _ended(self) -> None:
        """Whoever the child has left the pipe to is not waited for."""
        while self._read():
            pass
        self._finish()

    def _finish(self) -> None:
        self._timer.cancel()
        self._loop.unwatch(self._read_fd)
        self._loop.unwatch(self._pidfd)
        os.close(self._read_fd)
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)
        self._pidfd = -1
        assert result is not None  # noqa: S101 - only WNOHANG answers None
        failed = result.si_code != os.CLD_EXITED or result.si_status != 0
        self._done(None if failed or self._given_up else self._content)


def end(pidfd: int) -> None:
    """End a child, which first kills and reaps what it runs in the container.

    A dead program with a parent outside keeps the container's pid namespace from ending until somebody reaps it.
    """
    signal_process(pidfd, signal.SIGTERM)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        poll.poll(_END_WITHIN_S * 1000)
    finally:  # also when the time limit of a hook is over once more
        signal_process(pidfd, signal.SIGKILL)


def _run(work: Callable[[], bytes], write_fd: int) -> None:
    """The child, from the fork to its end."""
    status = 1
    try:
        set_pdeathsig(signal.SIGKILL)
        reset_signals()
        write_all(write_fd, work())
        status = 0
    finally:
        os._exit(status)
