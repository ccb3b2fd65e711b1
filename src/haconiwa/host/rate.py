"""A bound on how often something is done that others can bring about, such as an event of a container's."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PER_SECOND, _PER_HOUR = 20, 1000
_HOUR_S = 3600.0


class Rate:
    """How often it may still be done in this second and in this hour, each counted from the first time in it.

    Args:
        per_second: Most times in a second.
        per_hour: Most times in an hour.
        clock: Seconds of a clock that only goes forward.

    Attributes:
        passed_over: How often it might not; who has told somebody sets it to 0.
    """

    __slots__ = ("_clock", "_windows", "passed_over")

    def __init__(
        self, per_second: int = _PER_SECOND, per_hour: int = _PER_HOUR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.passed_over = 0
        self._clock = clock
        self._windows = (_Window(1.0, per_second), _Window(_HOUR_S, per_hour))

    def take(self) -> bool:
        """Whether it may be done once more; counts it, one way or the other."""
        now = self._clock()
        if all(window.has_room(now) for window in self._windows):
            for window in self._windows:
                window.taken += 1
            return True
        self.passed_over += 1
        return False


class _Window:
    __slots__ = ("_ends", "_length_s", "_most", "taken")

    def __init__(self, length_s: float, most: int) -> None:
        self.taken = 0
        self._length_s = length_s
        self._most = most
        self._ends = 0.0

    def has_room(self, now: float) -> bool:
        if now >= self._ends:
            self._ends, self.taken = now + self._length_s, 0
        return self.taken < self._most
