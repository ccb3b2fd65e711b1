"""Groups as folders of files, where the kernel is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from haconiwa.isolation.cgroup_tree import inherit_cpuset
from haconiwa.isolation.groups import is_populated, kill_groups, member_pids


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
