"""Signals as events of the loop.

Python's own handlers stay in place instead of a blocked mask and a signalfd, because what a hook starts inherits a mask
but not handlers, and because only a handler can interrupt a hook that hangs.
See: signal(7), signal.set_wakeup_fd
"""

from __future__ import annotations

import os
import time

from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.hooks import RESTORED_AFTER_HOOKS, HookInterrupted, hook_is_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What ends a foreground barn, and interrupts a running hook."""
USER_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
"""What means nothing unless the file has a handler for it; unheard they would be a supervisor's death."""
_ECHO_S = 0.5
"""What wants it to stop and comes so soon after another one is the same: to a whole process group, or from several."""
HANDLED_SIGNALS = (*USER_SIGNALS, signal.SIGTTIN, signal.SIGTTOU)
"""What a file may have handlers for. The last two stop a process, and belong to job control in a foreground barn."""


def stop_signals(*, daemon: bool) -> tuple[int, ...]:
    """The signals that end a barn or a supervisor; a daemon takes SIGHUP for something else."""
    return tuple(number for number in STOP_SIGNALS if number != signal.SIGHUP or not daemon)


class Signals:
    """The signals a process wants to hear of.

    Args:
        numbers: All of them.
        stops: Those that also interrupt a running hook.

    Attributes:
        stops: As given.
        fd: Readable while there are some to `take`.
    """

    def __init__(self, numbers: tuple[int, ...], stops: tuple[int, ...] = STOP_SIGNALS) -> None:
        self.stops = stops
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._pending: list[int] = []
        self._heard = -_ECHO_S
        # nohup(1) has it ignored; where it means a reload it is wanted all the same
        unwanted = signal.SIGHUP if signal.SIGHUP in stops and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else 0
        self._numbers = tuple(number for number in numbers if number != unwanted)
        self._arm()
        RESTORED_AFTER_HOOKS[:] = [self._arm]  # a process that is forked for a supervisor has its own instead

    def _arm(self) -> None:
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in self.stops and self._is_echo():
            return  # it must not interrupt a second hook either
        self._pending.append(number)
        if number in self.stops and hook_is_running():
            raise HookInterrupted

    def ask_to_stop(self) -> bool:
        """Whether one of those that came is to stop; they all stay to be taken. `fd` is not readable any more."""
        self._empty()
        return any(number in self.stops for number in self._pending)

    def _empty(self) -> None:
        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            pass

    def take(self) -> list[int]:
        """The signals that came since the last call, in order."""
        self._empty()
        taken, self._pending = self._pending, []
        return taken

    def _is_echo(self) -> bool:
        """Whether it comes so soon after another one to stop that it is the same."""
        now = time.monotonic()
        if now - self._heard < _ECHO_S:
            return True
        self._heard = now
        return False

    def close(self) -> None:
        """Hear of no signal any more; the handlers stay until they are replaced."""
        RESTORED_AFTER_HOOKS.clear()
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._write_fd)
