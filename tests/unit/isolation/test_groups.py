"""Groups as folders of files, where the kernel is not needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.isolation.cgroup_tree import inherit_cpuset
from haconiwa.isolation.groups import all_member_pids, is_populated, kill_groups, member_pids, remove_groups


def test_processes_that_cannot_be_seen_from_here_are_neither_counted_nor_killed(tmp_path: Path) -> None:
    """They show as 0, and kill(0) would end our own process group."""
    (tmp_path / "cgroup.procs").write_text("0\n0\n")
    assert member_pids(str(tmp_path)) == []
    assert is_populated(str(tmp_path))
    kill_groups((str(tmp_path),))


def test_groups_below_count(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "cgroup.procs").write_text("7\n0\n")
    (tmp_path / "cgroup.procs").write_text("")
    assert member_pids(str(tmp_path)) == [7]
    assert not is_populated(str(tmp_path / "gone"))


def test_groups_may_be_nested_deeply(tmp_path: Path) -> None:
    """A container that may make groups can nest more of them than Python's own functions follow."""
    path = str(tmp_path / "web")
    os.mkdir(path)
    for _ in range(1500):
        path += "/a"
        os.mkdir(path)
    with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
        file.write("7\n")
    assert all_member_pids((str(tmp_path / "web"), path)) == [7]
    os.unlink(f"{path}/cgroup.procs")
    assert remove_groups((str(tmp_path / "web"),)) == ()
    assert not (tmp_path / "web").exists()


@pytest.mark.parametrize("own", ["", "1"])
def test_cpuset_of_the_parent(tmp_path: Path, own: str) -> None:
    group = tmp_path / "haconiwa" / "web"
    group.mkdir(parents=True)
    for folder, cpus in ((tmp_path, "0-3"), (group.parent, ""), (group, own)):
        (folder / "cpuset.cpus").write_text(f"{cpus}\n")
        (folder / "cpuset.mems").write_text("\n" if folder != tmp_path else "0\n")
    inherit_cpuset(str(group))
    assert (group / "cpuset.cpus").read_text().strip() == (own or "0-3")
    assert (group / "cpuset.mems").read_text().strip() == "0"
    assert (group.parent / "cpuset.cpus").read_text().strip() == "0-3"
