"""Containers whose record cannot be read, on the files alone."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from haconiwa.host.cgroups import hierarchies
from haconiwa.kernel import pidfd
from haconiwa.kernel.mount import mount
from haconiwa.kernel.namespaces import CLONE
from haconiwa.lifecycle.damaged import groups_of, is_damaged, is_in_use, stop_damaged
from haconiwa.lifecycle.state import Claim, State, is_supervised
from tests.support.child import in_child

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


def listening(listener: socket.socket, folder: Path) -> int:
    """A child that has made the control socket in a folder; its pid."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)  # the path may be too long
        listener.bind("control")
        listener.listen()
        os.close(write_fd)
        signal.pause()
    os.close(write_fd)
    os.read(read_fd, 1)
    os.close(read_fd)
    return pid


def followed_by_another(pid: int) -> None:
    """End a child and let another one get its pid."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    if (other := os.fork()) == 0:
        signal.pause()
    assert other == pid


def end_of(pid: int) -> int:
    """Which signal has ended a child; KILL does if none has."""
    os.kill(pid, signal.SIGKILL)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


@pytest.mark.requires("root")
@pytest.mark.parametrize("option", [pidfd._SO_PEERPIDFD, 9999], ids=["this kernel", "before Linux 6.5"])
def test_stop_does_not_end_who_has_got_the_supervisors_pid(
    name: str, run_dir: Path, option: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pidfd, "_SO_PEERPIDFD", option)

    def stop() -> None:
        mount("proc", "/proc", "proc")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            pid = listening(listener, run_dir / name)
            a_while_ago = time.time() - 60
            os.utime(run_dir / name / "control", (a_while_ago, a_while_ago))
            followed_by_another(pid)
            stop_damaged(name, 0.0)
        assert end_of(pid) == signal.SIGKILL

    in_child(stop, unshared=CLONE.NEWPID | CLONE.NEWNS)


@pytest.mark.parametrize("option", [pidfd._SO_PEERPIDFD, 9999], ids=["this kernel", "before Linux 6.5"])
def test_stop_tells_the_supervisor(name: str, run_dir: Path, option: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pidfd, "_SO_PEERPIDFD", option)

    def stop() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            pid = listening(listener, run_dir / name)
            stop_damaged(name, 0.0)
        assert end_of(pid) == signal.SIGTERM

    in_child(stop)
