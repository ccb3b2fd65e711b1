from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.leftovers import OwnDirs, RunLock


def test_own_dirs_end_at_a_component(tmp_path: Path) -> None:
    own = OwnDirs([str(tmp_path)])
    assert own.holds(str(tmp_path))
    assert own.holds(f"{tmp_path}/a")
    assert not own.holds(f"{tmp_path}0/a")
    assert own.named_in(f"--root={tmp_path}/a")
    assert not own.named_in(f"--root={tmp_path}0/a")


def test_a_process_of_ours_is_found_and_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as process:
        stayed = leftovers.end_processes(OwnDirs([str(tmp_path)]), deadline_s=0.0)
        assert process.wait(timeout=5) == -9
    assert stayed == [f"process {process.pid}: sleep 60"]


def test_a_process_that_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], cwd=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert leftovers.end_processes(OwnDirs([str(tmp_path)])) == []


@pytest.mark.requires("root")
def test_a_mount_of_ours_is_found_and_detached(tmp_path: Path) -> None:
    target = tmp_path / "a name"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
    assert leftovers.detach_mounts(OwnDirs([str(tmp_path)])) == [f"mount {target}"]
    assert str(target) not in leftovers.mount_points()


@pytest.mark.requires("root", "busybox")
def test_a_container_that_has_pivoted_is_found_by_its_mounts(busybox_root: Path) -> None:
    script = 'mount --bind "$0" "$0" && cd "$0" && pivot_root . proc && echo ready && exec chroot . env -i cat'
    argv = ["unshare", "--mount", "sh", "-c", script, str(busybox_root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        stayed = leftovers.end_processes(OwnDirs([str(busybox_root)]), deadline_s=0.0)
    assert [line.split(":")[0] for line in stayed] == [f"process {process.pid}"]


def test_a_forked_child_is_found(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_fd)
        os.read(read_fd, 1)
        os._exit(0)
    os.close(read_fd)
    stayed = leftovers.end_processes(OwnDirs([str(tmp_path)]), deadline_s=0.0)
    os.close(write_fd)
    os.waitpid(pid, 0)
    assert [line.split(":")[0] for line in stayed] == [f"process {pid}"]


def test_a_run_is_alone_when_no_other_holds_the_lock(tmp_path: Path) -> None:
    first = RunLock(str(tmp_path))
    second = RunLock(str(tmp_path))
    assert not first.alone()
    assert second.alone()
    os.close(first.fd)
    os.close(second.fd)
