"""What is bounded in a second and in an hour."""

from __future__ import annotations

from haconiwa.errors import HaconiwaError, Where
from haconiwa.host.rate import Rate, Reports


class Clock:
    def __init__(self) -> None:
        self.now = 12345.0

    def __call__(self) -> float:
        return self.now


def taken(rate: Rate, times: int) -> int:
    return sum(rate.take() for _ in range(times))


def test_a_second_and_the_next() -> None:
    clock = Clock()
    rate = Rate(per_second=3, per_hour=100, clock=clock)
    assert taken(rate, 5) == 3
    assert rate.passed_over == 2
    clock.now += 0.9
    assert not rate.take()
    clock.now += 0.1
    assert taken(rate, 5) == 3
    assert rate.passed_over == 5


def test_an_hour_and_the_next() -> None:
    clock = Clock()
    rate = Rate(per_second=3, per_hour=10, clock=clock)
    found = 0
    for _ in range(3599):
        found += taken(rate, 3)
        clock.now += 1
    assert found == 10
    assert rate.passed_over == 3599 * 3 - 10
    clock.now += 1
    assert taken(rate, 5) == 3


def test_what_is_passed_over_does_not_use_it_up() -> None:
    clock = Clock()
    rate = Rate(per_second=1, per_hour=2, clock=clock)
    assert taken(rate, 100) == 1
    clock.now += 1
    assert rate.take()


def test_who_has_told_begins_to_count_again() -> None:
    rate = Rate(per_second=1, per_hour=1, clock=Clock())
    assert taken(rate, 3) == 1
    rate.passed_over = 0
    assert not rate.take()
    assert rate.passed_over == 1


def test_each_failure_is_reported_so_often_and_what_was_not_is_counted() -> None:
    clock, reported = Clock(), list[HaconiwaError]()
    reports = Reports(reported.append, lambda: Rate(per_second=2, per_hour=100, clock=clock))
    for _ in range(5):
        reports.add(HaconiwaError("one", hint="mend it"))
        reports.add(HaconiwaError("other"))
        reports.add(HaconiwaError("other", where=Where("web.haco", 7)))
    clock.now += 1
    for name in ("one", "one", "other"):
        reports.add(HaconiwaError(name))
    assert [(error.what, error.hint) for error in reported[:2]] == [("one", "mend it"), ("other", "")]
    assert [(error.what, error.hint) for error in reported[6:]] == [
        ("one", "3 more were not reported"),
        ("one", ""),
        ("other", "3 more were not reported"),
    ]
    clock.now += 1
    for _ in range(4):
        reports.add(HaconiwaError("one", hint="mend it"))
    clock.now += 1
    reports.add(HaconiwaError("one", hint="mend it"))
    assert reported[-1].hint == "mend it; 2 more were not reported"
