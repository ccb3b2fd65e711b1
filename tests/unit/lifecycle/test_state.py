from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haconiwa.errors import ContainerError
from haconiwa.host.descriptors import write_beside
from haconiwa.isolation import groups
from haconiwa.lifecycle.identity import NOBODY, Identity, boot_id, identify
from haconiwa.lifecycle.state import (
    Claim,
    State,
    find_states,
    is_supervised,
    list_states,
    live_status,
    read_state,
    remove_pid_file,
)


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def claim() -> Iterator[Claim]:
    one = Claim("web")
    yield one
    one.release()


def state(**changes: object) -> State:
    fields = {
        "name": "web", "haco_file": "/srv/web.haco", "status": "running", "init": identify(os.getpid()),
        "supervisor": identify(os.getpid()), "created_at": 1.5, "boot_id": boot_id(), "cgroups": ("/no/such/group",),
        "pid_file": "", "config": {"name": "web", "rootfs": {"path": "/srv/web"}, "environ": {"A": "é\n\udcff"}},
    }  # fmt: skip
    return State(**{**fields, **changes})  # type: ignore[arg-type]


def test_what_was_recorded_is_read(claim: Claim) -> None:
    claim.record(state())
    assert read_state("web") == state()
    assert state().root == "/srv/web"
    assert state(config={"rootfs": None}).root == "/"


def test_nothing_recorded(run_dir: Path) -> None:
    assert read_state("web") is None
    assert list_states() == []
    assert not is_supervised("web")


def test_record_and_its_folder_are_closed_to_others(claim: Claim, run_dir: Path) -> None:
    claim.record(state())
    assert stat.S_IMODE((run_dir / "web").stat().st_mode) == 0o700
    assert stat.S_IMODE((run_dir / "web/state.json").stat().st_mode) == 0o600
    assert sorted(path.name for path in (run_dir / "web").iterdir()) == ["lock", "state.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_record_cut_anywhere_is_an_error_that_names_it(run_dir: Path, data: st.DataObject) -> None:
    write(run_dir, b"")
    with_all = json.dumps({"name": "web"}).encode()
    cut = data.draw(st.integers(0, len(with_all)))
    write(run_dir, with_all[:cut])
    with pytest.raises(ContainerError, match="cannot read"):
        read_state("web")


def write(run_dir: Path, content: bytes) -> None:
    (run_dir / "web").mkdir(parents=True, exist_ok=True)
    (run_dir / "web/state.json").write_bytes(content)


def test_every_cut_of_a_whole_record_is_an_error_or_the_record(claim: Claim, run_dir: Path) -> None:
    claim.record(state())
    content = (run_dir / "web/state.json").read_bytes()
    assert len(content) > 300
    for length in range(len(content)):
        write(run_dir, content[:length])
        with pytest.raises(ContainerError, match=r'^web: cannot read ".*/run/web/state.json": '):
            read_state("web")
        assert list_states() == []
    write(run_dir, content)
    assert read_state("web") == state()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["name", "init", "pid", "supervisor", "cgroups", "config", "x"]), inner)
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_content_is_an_error_of_ours_at_most(run_dir: Path, content: bytes) -> None:
    write(run_dir, content)
    try:
        found = read_state("web")
    except ContainerError:
        return
    assert found is None or isinstance(found.name, str)


def test_only_one_may_claim_a_name(claim: Claim) -> None:
    assert is_supervised("web")
    with pytest.raises(ContainerError, match=r"^web: cannot start: it is already running$") as caught:
        Claim("web")
    assert "haconiwa stop web" in caught.value.hint
    Claim("other").release()


def test_released_claim_leaves_nothing(run_dir: Path) -> None:
    one = Claim("web")
    one.record(state())
    one.release()
    assert list(run_dir.iterdir()) == []
    assert not is_supervised("web")


def test_released_claim_leaves_what_another_one_has_taken(run_dir: Path) -> None:
    one = Claim("web")
    (run_dir / "web/lock").unlink()
    another = Claim("web")
    another.record(state())
    one.release()
    assert read_state("web") is not None
    another.release()
    assert list(run_dir.iterdir()) == []


def test_claim_over_an_orphan_is_refused() -> None:
    one = Claim("web")
    one.record(state())
    # as a killed supervisor leaves it: the lock gone, the record there
    os.close(one._lock_fd)
    with pytest.raises(ContainerError, match=f"its program still runs as pid {os.getpid()}"):
        Claim("web")
    assert live_status(state()) == "orphaned"
    one.record(state(init=Identity(pid=os.getpid(), started_at=1)))
    taken = Claim("web")
    assert taken.stale is not None
    taken.release()


@pytest.mark.parametrize(
    "changes", [{}, {"config": {}}, {"config": {"namespaces": ["pid"]}}, {"boot_id": "another"}, {"name": "other"}]
)
def test_only_what_is_the_containers_own_is_killed_in_its_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(groups, "_REMOVE_WITHIN_S", 0.0)  # a folder that stands for a group never gets empty
    group = tmp_path / "group"
    group.mkdir()
    with subprocess.Popen(["sleep", "1000"]) as process:
        (group / "cgroup.procs").write_text(f"{process.pid}\n")
        gone = {"init": Identity(pid=1, started_at=1), "cgroups": (str(group),), "config": {"namespaces": []}}
        if "name" in changes:  # it has taken the same group meanwhile
            Claim("other").record(state(**changes, cgroups=(str(group),)))
        one = Claim("web")
        one.record(state(**{**gone, **({} if "name" in changes else changes)}))
        os.close(one._lock_fd)
        Claim("web").release()
        if changes:
            assert process.poll() is None
            process.kill()
    assert process.returncode == -9


def test_claim_that_fails_gives_back_the_name(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    one = Claim("web")
    one.record(state(init=Identity(pid=1, started_at=1)))
    os.close(one._lock_fd)
    before = os.listdir("/proc/self/fd")
    for function in ("haconiwa.lifecycle.state.clear_leftovers", "haconiwa.lifecycle.events.append_event"):
        with monkeypatch.context() as patch:
            patch.setattr(function, fail)
            with pytest.raises(OSError, match="full"):
                Claim("web")
    write(run_dir, b"cut off")
    with pytest.raises(ContainerError, match="cannot read"):
        Claim("web", adopts=True)
    assert os.listdir("/proc/self/fd") == before
    assert not is_supervised("web")
    Claim("web").release()


def test_claim_of_what_is_to_be_adopted(run_dir: Path) -> None:
    one = Claim("web")
    one.record(state(status="created"))
    with pytest.raises(ContainerError, match=r"^web: cannot adopt it: it is already running$"):
        Claim("web", adopts=True)
    os.close(one._lock_fd)
    taken = Claim("web", adopts=True)
    assert taken.stale == state(status="created")
    taken.release()
    assert Claim("web", adopts=True).stale is None
    assert list(run_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "running"),
        ({"status": "created"}, "created"),
        ({"boot_id": "another"}, "stopped"),
        ({"init": Identity(pid=os.getpid(), started_at=1)}, "stopping"),
        ({"status": "restarting", "init": NOBODY}, "restarting"),
    ],
)
def test_live_status_under_a_supervisor(claim: Claim, changes: dict[str, object], status: str) -> None:
    assert live_status(state(**changes)) == status


def test_live_status_without_one() -> None:
    assert live_status(state()) == "orphaned"
    assert live_status(state(init=Identity(pid=os.getpid(), started_at=1))) == "stopped"
    assert live_status(state(boot_id="another")) == "stopped"


def test_found_by_name_before_file(run_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "web.haco"
    file.write_text("")
    claims = [Claim(name) for name in ("one", "two")]
    for one, moment in zip(claims, (2.0, 1.0), strict=True):
        one.record(state(name=one.name, haco_file=str(file), created_at=moment))
    assert [found.name for found in list_states()] == ["two", "one"]
    assert [found.name for found in find_states("one")] == ["one"]
    assert [found.name for found in find_states(str(file))] == ["two", "one"]
    (tmp_path / "link").symlink_to(file)
    assert len(find_states(str(tmp_path / "link"))) == 2
    with pytest.raises(ContainerError, match='cannot find a container "three"'):
        find_states("three")
    for one in claims:
        one.release()


def test_write_beside_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_beside(str(path), "one")
    os.chmod(path, 0o644)
    write_beside(str(path), "two é \udcff")
    assert path.read_bytes() == "two é ".encode() + b"\xff"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_write_beside_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "file").symlink_to("victim")
    write_beside(str(tmp_path / "file"), "mine")
    assert (tmp_path / "victim").read_text() == "untouched"
    (tmp_path / "file.new").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic"):
        write_beside(str(tmp_path / "file"), "mine")
    assert (tmp_path / "victim").read_text() == "untouched"


@pytest.mark.parametrize(
    ("content", "stays"), [("42\n", False), ("42", False), ("43\n", True), ("", True), ("x" * 99, True), ("420", True)]
)
def test_pid_file_is_removed_only_while_it_is_ours(tmp_path: Path, content: str, stays: bool) -> None:
    path = tmp_path / "web.pid"
    path.write_text(content)
    remove_pid_file(str(path), 42)
    assert path.exists() == stays


def test_pid_file_that_cannot_be_removed_is_no_error() -> None:
    path = Path("/proc/sys/kernel/pid_max")  # a number, and nobody removes anything there
    remove_pid_file(str(path), int(path.read_text()))
    assert path.exists()


def test_pid_file_that_is_something_else_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("42\n")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "link", "folder", "missing"):
        remove_pid_file(str(tmp_path / name), 42)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "file", "folder", "link"]
