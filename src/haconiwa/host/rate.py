"""A bound on how often something is done that others can bring about, such as an event of a container's."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.errors import HaconiwaError

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


class Reports:
    """Passes failures on, the same one of the same line no more often than is of use, and says how many were not.

    Args:
        report: Called with those that are passed on.
        make_rate: Makes the bound of each.
    """

    def __init__(self, report: Callable[[HaconiwaError], None], make_rate: Callable[[], Rate] = Rate) -> None:
        self._report = report
        self._make_rate = make_rate
        self._rates: dict[tuple[str, str], Rate] = {}

    def add(self, error: HaconiwaError) -> None:
        """Pass it on, or count it."""
        kind = error.what, str(error.where)
        if kind not in self._rates:
            self._rates[kind] = self._make_rate()
        rate = self._rates[kind]
        if rate.take():
            if rate.passed_over:
                error.hint = "; ".join(filter(None, (error.hint, f"{rate.passed_over} more were not reported")))
                rate.passed_over = 0
            self._report(error)


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
