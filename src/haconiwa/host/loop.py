"""An event loop for one thread that waits on file descriptors and timers, and on nothing else."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READABLE = select.POLLIN
WRITABLE = select.POLLOUT
PRIORITY = select.POLLPRI
"""A file of the kernel's has changed."""
_LONGEST_WAIT_MS = 24 * 3600 * 1000


def wait_ms(until: float) -> float:
    """How many milliseconds poll(2) may wait for a moment of ``time.monotonic()``; it may wake up before a late one.

    It counts whole milliseconds, so that rounding down would spin, and no more than 2**31 of them, 25 days.
    """
    return min(_LONGEST_WAIT_MS, max(0.0, (until - time.monotonic()) * 1000 + 1))


class Timer:
    """A callback that is due at a moment of the monotonic clock."""

    __slots__ = ("callback", "due", "live")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.live = True

    def cancel(self) -> None:
        """Never call it any more; harmless when it was called already."""
        self.live = False


class Loop:
    """Calls back when a descriptor is ready or a timer is due."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self._new: set[int] = set()
        self._timers: list[Timer] = []  # by when they are due

    def watch(self, fd: int, callback: Callable[[int], object], events: int = READABLE) -> None:
        """Call back with the events of poll(2) whenever a descriptor is ready; replaces an earlier callback."""
        self._poll.register(fd, events)
        self._callbacks[fd] = callback
        self._new.add(fd)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor, before it is closed; harmless when it is not watched."""
        if self._callbacks.pop(fd, None):
            self._poll.unregister(fd)

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """Call back once at a moment of ``time.monotonic()``."""
        timer = Timer(due, callback)
        self._timers.append(timer)
        self._timers.sort(key=lambda timer: timer.due)
        return timer

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once after some seconds."""
        return self.call_at(time.monotonic() + delay_s, callback)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Wait and call back until `done` says so; it is asked after every round of callbacks."""
        while not done():
            ready = self._poll.poll(self._wait_ms())
            self._new.clear()
            for fd, events in ready:
                callback = self._callbacks.get(fd)
                if callback and fd not in self._new:  # an earlier one may have removed it, or given its number away
                    callback(events)
            self._run_due()

    def _wait_ms(self) -> float | None:
        while self._timers and not self._timers[0].live:
            self._timers.pop(0)
        if not self._timers:
            return None
        return wait_ms(self._timers[0].due)

    def _run_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = self._timers.pop(0)
            if timer.live:
                timer.live = False
                timer.callback()
