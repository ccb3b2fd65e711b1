from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from haconiwa.errors import HookError
from haconiwa.host.loop import Loop
from haconiwa.spec.model import ContainerSpec, TimerSpec
from haconiwa.supervisor.base import Base
from haconiwa.supervisor.timers import AsyncHook


@pytest.fixture
def base() -> Base:
    return Base(ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}))


def timer(function: Callable[[Base], object], first: float = 0.0, every: float | None = None, limit: int | None = None
          ) -> TimerSpec:  # fmt: skip
    return TimerSpec(function=function, first_s=first, interval_s=every, limit_count=limit)


def run(base: Base, *timers: TimerSpec, until: Callable[[], bool]) -> list[HookError]:
    loop, errors = Loop(), list[HookError]()
    for one in timers:
        AsyncHook(one, base, loop, errors.append)
    loop.run_until(until)
    return errors


def test_without_an_interval_once(base: Base) -> None:
    seen: list[object] = []
    end: list[int] = []
    run(base, timer(seen.append), timer(lambda _: end.append(1), first=0.02), until=lambda: bool(end))
    assert seen == [base]


def test_limit(base: Base) -> None:
    seen: list[object] = []
    end: list[int] = []
    run(base, timer(seen.append, every=0.001, limit=3), timer(lambda _: end.append(1), 0.03), until=lambda: bool(end))
    assert len(seen) == 3


def test_hook_stops_itself_and_no_other(base: Base) -> None:
    counts = {"one": 0, "two": 0}

    def one(live: Base) -> None:
        counts["one"] += 1
        assert live.timer is not None
        if counts["one"] == 2:
            live.timer.stop()

    def two(live: Base) -> None:
        counts["two"] += 1

    run(base, timer(one, every=0.001), timer(two, every=0.001), until=lambda: counts["two"] == 10)
    assert counts["one"] == 2
    assert base.timer is None


def test_slow_hook_keeps_to_its_rhythm_and_misses_calls(base: Base) -> None:
    moments: list[float] = []

    def slow(live: Base) -> None:
        moments.append(time.monotonic())
        while time.monotonic() < moments[-1] + 0.025:
            pass

    run(base, timer(slow, first=0.0, every=0.01), until=lambda: len(moments) == 3)
    # each call takes two and a half intervals, so each comes three or more intervals after the one before
    assert all(later - earlier >= 0.025 for earlier, later in pairwise(moments))


def test_failing_hook_is_reported_and_goes_on(base: Base) -> None:
    seen: list[int] = []

    def fail(live: Base) -> None:
        seen.append(1)
        raise ValueError(len(seen))

    errors = run(base, timer(fail, every=0.001), until=lambda: len(seen) == 3)
    assert [error.why for error in errors] == ["ValueError: 1", "ValueError: 2", "ValueError: 3"]
    assert "the async hook" in errors[0].what
    assert base.timer is None
