from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from haconiwa.errors import HaconiwaError
from haconiwa.host.loop import Loop
from haconiwa.host.rate import Reports
from haconiwa.spec.supervision import CgroupHookSpec
from haconiwa.supervisor.group_events import CgroupHook, OomEvents


class Told:
    """What was told, as (moment, count)."""

    def __init__(self) -> None:
        self.all: list[tuple[float, int]] = []

    def __call__(self, event: str, *, count: int) -> None:
        assert event == "oom"
        self.all.append((time.monotonic(), count))

    @property
    def total(self) -> int:
        return sum(count for _, count in self.all)


class Group:
    """A folder with the files of a v1 group. The eventfd that is registered there is written to as the kernel does."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)
        self._control = folder / "cgroup.event_control"
        self._control.touch()
        (folder / "memory.oom_control").write_text("under_oom 0\noom_kill 0\n")

    def used_up(self, times: int = 1) -> None:
        os.eventfd_write(int(self._control.read_text().split()[0]), times)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path)


def one_round(loop: Loop) -> None:
    answers = iter((False, True))
    loop.run_until(lambda: next(answers))


def test_the_first_is_told_at_once_and_the_others_once_a_second(group: Group) -> None:
    loop, told = Loop(), Told()
    events = OomEvents(group.path, loop, told)
    group.used_up()
    one_round(loop)
    assert [count for _, count in told.all] == [1]
    for _ in range(50):
        group.used_up(2)
        one_round(loop)
    loop.run_until(lambda: told.total == 101)
    group.used_up()
    loop.run_until(lambda: told.total == 102)
    assert all(later - earlier >= 0.99 for (earlier, _), (later, _) in pairwise(told.all))
    events.cancel()


def test_what_waits_is_told_before_the_end(group: Group) -> None:
    loop, told = Loop(), Told()
    events = OomEvents(group.path, loop, told)
    group.used_up()
    one_round(loop)
    group.used_up(3)
    one_round(loop)
    group.used_up(5)  # nobody has looked at it yet
    events.flush()
    assert told.total == 9
    group.used_up()
    events.cancel()
    assert told.total == 10
    number = len(told.all)
    ended: list[int] = []
    loop.call_after(1.1, lambda: ended.append(1))
    loop.run_until(lambda: bool(ended))
    assert len(told.all) == number


def test_what_came_before_it_was_watched_is_told(group: Group) -> None:
    Path(group.path, "memory.oom_control").write_text("under_oom 0\noom_kill 4\n")
    told = Told()
    OomEvents(group.path, Loop(), told).cancel()
    assert told.total == 4


class Counter:
    """What a file of the kernel's tells: so many events since the last look."""

    by_priority, look_every_s = False, None

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def take(self, *, told: bool) -> int:
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0


def test_a_hook_is_called_each_time_and_told_of_so_often_only() -> None:
    """Its events and its failures are in logs that others share; nothing of the count is lost."""
    loop, told, reported, calls = Loop(), list[int](), list[HaconiwaError](), list[object]()

    def fail(base: object) -> None:
        calls.append(base)
        raise ValueError

    supervisor = SimpleNamespace(
        loop=loop, base=None, report=reported.append, tell=lambda _event, **details: told.append(details["count"])
    )
    source = Counter()
    spec = CgroupHookSpec(type="pids_max", function=fail, level="", timeout_s=None, where=None)
    hook = CgroupHook(spec, source, supervisor, Reports(reported.append).add)  # type: ignore[arg-type]
    for _ in range(200):
        os.eventfd_write(source.fd, 3)
        one_round(loop)
    hook.cancel()
    assert len(calls) == 200
    assert sum(told) == 600
    assert len(told) < 100
    assert 0 < len(reported) < 100
    os.close(source.fd)
