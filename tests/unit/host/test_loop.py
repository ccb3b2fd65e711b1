from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator

import pytest

from haconiwa.host.loop import WRITABLE, Loop, wait_ms


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_fd, write_fd = os.pipe()
    yield read_fd, write_fd
    os.close(read_fd)
    os.close(write_fd)


def test_calls_back_while_a_descriptor_is_readable(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), []
    loop.watch(pipe[0], lambda events: seen.append((events, os.read(pipe[0], 1))))
    os.write(pipe[1], b"abc")
    loop.run_until(lambda: len(seen) == 3)
    assert seen == [(select.POLLIN, b"a"), (select.POLLIN, b"b"), (select.POLLIN, b"c")]


def test_watching_again_replaces_callback_and_events(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), list[int]()
    loop.watch(pipe[1], lambda _events: seen.append(-1))
    loop.watch(pipe[1], seen.append, WRITABLE)
    loop.run_until(lambda: bool(seen))
    assert seen == [select.POLLOUT]


def test_unwatched_descriptor_is_not_called_back_any_more(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), []

    def take(_events: int) -> None:
        seen.append(1)
        loop.unwatch(pipe[0])
        loop.unwatch(pipe[0])

    loop.watch(pipe[0], take)
    loop.call_after(0.02, lambda: seen.append(2))
    os.write(pipe[1], b"stays readable")
    loop.run_until(lambda: 2 in seen)
    assert seen == [1, 2]


def test_callback_may_remove_another_of_the_same_round() -> None:
    loop, seen = Loop(), []
    one, two = os.pipe(), os.pipe()

    def take(mine: int, other: int) -> None:
        seen.append(mine)
        loop.unwatch(mine)
        loop.unwatch(other)

    loop.watch(one[0], lambda _events: take(one[0], two[0]))
    loop.watch(two[0], lambda _events: take(two[0], one[0]))
    for _, write_fd in (one, two):
        os.write(write_fd, b"x")
    loop.run_until(lambda: bool(seen))
    assert len(seen) == 1
    for fd in (*one, *two):
        os.close(fd)


def test_end_of_file_is_an_event(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), list[int]()
    read_fd, write_fd = os.pipe()
    os.close(write_fd)
    loop.watch(read_fd, seen.append)
    loop.run_until(lambda: bool(seen))
    assert seen[0] & select.POLLHUP
    os.close(read_fd)


def test_timers_are_called_once_in_the_order_of_their_moments() -> None:
    loop, seen = Loop(), []
    loop.call_after(0.02, lambda: seen.append("late"))
    loop.call_after(0.0, lambda: seen.append("early"))
    loop.call_after(0.01, lambda: seen.append("between"))
    loop.run_until(lambda: "late" in seen)
    assert seen == ["early", "between", "late"]


def test_cancelled_timer_is_not_called() -> None:
    loop, seen = Loop(), []
    timer = loop.call_after(0.001, lambda: seen.append("cancelled"))
    loop.call_after(0.01, lambda: seen.append("end"))
    timer.cancel()
    loop.run_until(lambda: "end" in seen)
    timer.cancel()
    assert seen == ["end"]


def test_timer_may_cancel_one_that_is_due_too() -> None:
    loop, seen = Loop(), []

    def call_first() -> None:
        seen.append("first")
        second.cancel()

    first = loop.call_at(0.0, call_first)
    second = loop.call_at(1.0, lambda: seen.append("second"))
    loop.call_after(0.001, lambda: seen.append("end"))
    loop.run_until(lambda: "end" in seen)
    assert first.due < second.due
    assert seen == ["first", "end"]


def test_timer_that_is_always_due_does_not_starve_descriptors(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), []

    def again() -> None:
        loop.call_after(0.0, again)

    again()
    loop.watch(pipe[0], lambda _events: seen.append(os.read(pipe[0], 10)))
    os.write(pipe[1], b"x")
    loop.run_until(lambda: bool(seen))
    assert seen == [b"x"]


def test_nothing_is_called_when_it_is_done_already() -> None:
    loop = Loop()
    loop.call_at(0.0, lambda: pytest.fail("called"))
    loop.run_until(lambda: True)


def test_a_timer_may_be_years_away(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), list[int]()
    loop.call_after(3 * 366 * 24 * 3600, lambda: seen.append(-1))
    loop.watch(pipe[1], seen.append, WRITABLE)
    loop.run_until(lambda: bool(seen))
    assert seen == [select.POLLOUT]


def test_waits_are_never_short_and_never_too_long() -> None:
    now = time.monotonic()
    assert wait_ms(now - 5) == 0
    assert 10_000 < wait_ms(now + 10) <= 10_001
    assert wait_ms(float("inf")) < 1 << 31


def test_what_was_heard_of_one_file_is_not_told_of_the_next_with_its_number(pipe: tuple[int, int]) -> None:
    """A callback closes another descriptor of the same round, and opens one that gets its number."""
    loop, seen = Loop(), list[str]()
    other_read, other_write = os.pipe()
    new_read, new_write = os.pipe()

    def exchange(_events: int) -> None:
        loop.unwatch(pipe[0])
        loop.unwatch(other_read)
        os.dup2(new_read, other_read)
        loop.watch(other_read, lambda _events: seen.append("new"))

    loop.watch(pipe[0], exchange)
    loop.watch(other_read, lambda _events: seen.append("old"))
    for fd in (pipe[1], other_write):
        os.write(fd, b"x")
    loop.call_after(0.02, lambda: seen.append("later"))
    loop.run_until(lambda: "later" in seen)
    assert seen == ["later"]
    for fd in (other_read, other_write, new_read, new_write):
        os.close(fd)
