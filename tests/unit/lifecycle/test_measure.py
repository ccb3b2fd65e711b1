"""Measurements of processes, and what is made of two of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.isolation.usage import NOTHING
from haconiwa.lifecycle.identity import NOBODY, Identity, identify
from haconiwa.lifecycle.measure import Measurement, cpu_percent, describe, measure
from haconiwa.lifecycle.state import State
from haconiwa.spec.record import replace

TICKS = os.sysconf("SC_CLK_TCK")


def state(init: Identity, *cgroups: str) -> State:
    return State(name="web", haco_file="/web.haco", status="running", init=init, cgroups=cgroups, config={})


def at(at_s: float, cpu_s: float, started_s: float = 0.0, pid: int = 7) -> Measurement:
    init = Identity(pid=pid, started_at=int(started_s * TICKS))
    usage = replace(NOTHING, cpu_s=cpu_s)
    return Measurement(name="web", status="running", init=init, time=at_s, at_s=at_s, usage=usage)


def test_a_live_process(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("4096\n")
    found = describe(measure(state(identify(os.getpid()), str(tmp_path)), "running"))
    assert found["memory"] == 4096
    assert found["pid"] == os.getpid()
    assert found["of_processes"] == ["cpu", "pids", "io"]
    assert isinstance(found["cpu_percent"], float)
    assert found["received_bytes"] is None, "the network is the host's"


@pytest.mark.parametrize("init", [NOBODY, Identity(pid=os.getpid(), started_at=1), Identity(pid=2**40, started_at=1)])
def test_nothing_is_known_of_what_does_not_run_or_is_another_process(init: Identity, tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("4096\n")
    found = describe(measure(state(init, str(tmp_path)), "creating"))
    unknown = {key for key, value in found.items() if value is None}
    assert unknown == {
        "pid", "cpu_percent", "cpu_seconds", "memory", "memory_limit", "pids", "pids_limit", "read_bytes",
        "written_bytes", "received_bytes", "sent_bytes",
    }  # fmt: skip


def test_a_stopped_container_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("4096\n")
    assert measure(state(identify(os.getpid()), str(tmp_path)), "stopped").usage is None


def test_the_processors_share() -> None:
    assert cpu_percent(at(20, 5, started_s=10)) == 50.0
    assert cpu_percent(at(20, 5), at(18, 1)) == 200.0
    assert cpu_percent(at(20, 5), at(18, 6)) == 0.0, "a process ended and its figures with it"
    assert cpu_percent(at(20, 5, started_s=10), at(18, 1, pid=8)) == 50.0, "the run before counts for nothing"
    assert cpu_percent(replace(at(20, 5), usage=None)) is None
