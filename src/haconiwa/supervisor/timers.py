"""Async hooks: functions called again and again while the container runs."""

from __future__ import annotations

import time

from haconiwa.errors import HookError
from haconiwa.host.loop import Loop, Timer
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.supervisor.base import Base, HookTimer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.spec.model import TimerSpec


class AsyncHook:
    """One async hook. One that takes longer than its interval delays the next call; calls never pile up."""

    def __init__(self, spec: TimerSpec, base: Base, loop: Loop, report: Callable[[HookError], None]) -> None:
        self._spec = spec
        self._base = base
        self._loop = loop
        self._report = report
        self._left = spec.limit_count
        self._due = time.monotonic() + spec.first_s
        self._timer: Timer | None = loop.call_at(self._due, self._call)

    def stop(self) -> None:
        """Do not call it any more."""
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _call(self) -> None:
        self._plan_next()
        self._base.timer = HookTimer(self.stop)
        what = f'the async hook "{function_name(self._spec.function)}"'
        try:
            call_function(self._spec.function, self._base, what, self._spec.where, timeout_s=self._spec.timeout_s)
        except HookError as error:
            self._report(error)
        finally:
            self._base.timer = None
        if self._timer:
            self._skip_missed()

    def _plan_next(self) -> None:
        self._timer = None
        if self._left is not None:
            self._left -= 1
        if self._spec.interval_s is not None and self._left != 0:
            self._due += self._spec.interval_s
            self._timer = self._loop.call_at(self._due, self._call)

    def _skip_missed(self) -> None:
        """After a slow call go on at the next moment of the original rhythm."""
        interval_s = self._spec.interval_s
        late_s = time.monotonic() - self._due
        if interval_s is None or late_s < 0 or self._timer is None:
            return
        self._timer.cancel()
        self._due += interval_s * (late_s // interval_s + 1)
        self._timer = self._loop.call_at(self._due, self._call)
