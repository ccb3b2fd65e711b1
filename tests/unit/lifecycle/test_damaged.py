"""Containers whose record cannot be read, on the files alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.host.cgroups import hierarchies
from haconiwa.lifecycle.damaged import groups_of, is_damaged, is_in_use, stop_damaged
from haconiwa.lifecycle.state import Claim, State, is_supervised

pytestmark = pytest.mark.skipif(not hierarchies(), reason="there are no groups")


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def name(run_dir: Path) -> str:
    """Of a record that was cut off; there are no groups of that name."""
    name = f"cut-off-{os.getpid()}"
    (run_dir / name).mkdir(parents=True)
    (run_dir / name / "state.json").write_text("{")
    return name


def test_a_group_that_another_containers_record_names_is_not_its_own(name: str) -> None:
    mine = groups_of(name)
    other = Claim(f"{name}-other")
    other.record(State(name=other.name, haco_file="/x.haco", status="running", cgroups=mine[1:], config={}))
    assert groups_of(name) == mine[:1]
    other.record(State(name=other.name, haco_file="/x.haco", status="running", cgroups=(*mine, "/more"), config={}))
    assert groups_of(name) == ()
    assert groups_of(other.name)
    other.release()
    assert groups_of(name) == mine != ()


def test_stop_holds_the_lock_while_it_kills_and_removes(
    name: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[tuple[str, bool]] = []
    real_open, real_rmdir = os.open, os.rmdir

    def look_and_open(path: str, *more: int, **options: int | None) -> int:
        if path.endswith("/cgroup.kill"):
            locked.append(("kill", is_supervised(name)))
        return real_open(path, *more, **options)  # type: ignore[arg-type]

    def look_and_rmdir(path: str, **options: int | None) -> None:
        if path.startswith("/sys"):
            locked.append(("remove", is_supervised(name)))
        real_rmdir(path, **options)

    monkeypatch.setattr(os, "open", look_and_open)
    monkeypatch.setattr(os, "rmdir", look_and_rmdir)
    stop_damaged(name, 0.0)
    assert {("kill", True), ("remove", True)} == set(locked)
    assert not is_supervised(name)
    assert not is_damaged(name)
    assert not is_in_use(name)
    assert list(run_dir.iterdir()) == []
