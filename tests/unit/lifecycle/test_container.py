"""The end of a start, without a process."""

from __future__ import annotations

import os

import pytest

from haconiwa.errors import ContainerError
from haconiwa.isolation.clocks import SetTimeOffsets
from haconiwa.isolation.step import SUPERVISOR, Site, Step
from haconiwa.lifecycle.container import Container
from haconiwa.spec.confinement import TimeOffsets
from haconiwa.spec.model import ContainerSpec


class Noted(Step):
    """A step that opens a descriptor for all, notes that it is undone, and may fail at both."""

    def __init__(self, name: str, undone: list[str], *, fails: bool = False, cannot_undo: bool = False) -> None:
        super().__init__(SUPERVISOR)
        self.name = name
        self._undone = undone
        self._fails = fails
        self._cannot_undo = cannot_undo

    def describe(self) -> str:
        return f"do {self.name}"

    def execute(self, site: Site) -> None:
        site.trees[self.name] = os.open("/", os.O_PATH | os.O_CLOEXEC)
        if self._fails:
            raise OSError(28, "full")

    def undo(self, site: Site) -> None:
        self._undone.append(self.name)
        if self._cannot_undo:
            raise OSError(5, f"broken: {self.name}")


def test_what_cannot_be_undone_leaves_nothing_else_behind() -> None:
    undone: list[str] = []
    spec = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={})
    steps = [
        Noted("one", undone),
        Noted("two", undone, cannot_undo=True),
        Noted("three", undone, cannot_undo=True),
        Noted("four", undone, fails=True),
        Noted("never", undone),
    ]
    container = Container(spec, list(steps), Site(spec))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ContainerError, match="cannot do four"):
        container.start()
    with pytest.raises(OSError, match="broken: three"):
        container.clean_up()
    assert undone == ["four", "three", "two", "one"]
    assert os.listdir("/proc/self/fd") == before
    container.clean_up()
    assert len(undone) == 4


def test_a_time_namespace_that_was_not_made_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without them, where ``/proc/self/ns/time`` is not there either."""
    kept: list[bool] = []
    monkeypatch.setattr("haconiwa.isolation.clocks.keep_own_clocks", lambda: kept.append(True))
    monkeypatch.setattr("haconiwa.isolation.clocks.unshare", refuse)
    spec = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={})
    container = Container(spec, [SetTimeOffsets(TimeOffsets(monotonic_s=1, boottime_s=1))], Site(spec))
    with pytest.raises(ContainerError, match="EINVAL"):
        container.start()
    container.clean_up()
    assert kept == []


def refuse(_flags: int) -> None:
    raise OSError(22, "no")
