"""Live groups over folders of files, as the kernel shows them on v1 and on v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from haconiwa.errors import ContainerError
from haconiwa.supervisor.live_cgroup import LiveCgroup

UNLIMITED = "9223372036854771712"
V1 = {
    "memory": {
        "tasks": "1", "memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296",
        "memory.soft_limit_in_bytes": UNLIMITED, "memory.usage_in_bytes": "4096",
    },
    "cpu": {"tasks": "1", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "50000", "cpu.shares": "1024"},
    "blkio": {"tasks": "1", "blkio.throttle.read_bps_device": "8:0 5", "blkio.throttle.write_iops_device": ""},
    "freezer": {"tasks": "1", "freezer.state": "THAWED"},
}  # fmt: skip
V2 = {
    "all": {
        "memory.max": "67108864", "memory.swap.max": "33554432", "memory.low": "0", "memory.current": "4096",
        "cpu.max": "max 50000", "cpu.weight": "100", "io.max": "8:0 rbps=5 wbps=max riops=max wiops=max",
        "cgroup.freeze": "0", "pids.max": "max",
    }
}  # fmt: skip


def live(folder: Path, groups: dict[str, dict[str, str]]) -> LiveCgroup:
    for name, files in groups.items():
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_text(f"{content}\n" if content else "")
    return LiveCgroup(tuple(str(folder / name) for name in groups))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory.max", "67108864"),
        ("memory.limit_in_bytes", "67108864"),
        ("memory.swap.max", "33554432"),
        ("memory.low", "max"),
        ("memory.soft_limit_in_bytes", "max"),
        ("memory.current", "4096"),
        ("memory.usage_in_bytes", "4096"),
        ("cpu.max", "max 50000"),
        ("cpu.cfs_quota_us", "max"),
        ("cpu.weight", "100"),
        ("io.max", "8:0 rbps=5"),
        ("cgroup.freeze", "0"),
    ],
)
def test_reading_on_v1(tmp_path: Path, key: str, value: str) -> None:
    assert live(tmp_path, V1)[key] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory.max", "67108864"),
        ("memory.limit_in_bytes", "67108864"),
        ("memory.memsw.limit_in_bytes", "100663296"),
        ("memory.usage_in_bytes", "4096"),
        ("cpu.max", "max 50000"),
        ("cpu.cfs_quota_us", "max"),
        ("cpu.cfs_period_us", "50000"),
        ("cpu.shares", "1024"),
        ("blkio.throttle.read_bps_device", "8:0 5"),
        ("freezer.state", "THAWED"),
        ("pids.max", "max"),
    ],
)
def test_reading_on_v2(tmp_path: Path, key: str, value: str) -> None:
    assert live(tmp_path, V2)[key] == value


@pytest.mark.parametrize("key", ["memory.min", "hugetlb.2MB.max", "../memory/tasks", "nothing", ""])
def test_what_no_group_has(tmp_path: Path, key: str) -> None:
    with pytest.raises(ContainerError, match="the container has no group of the"):
        live(tmp_path, V1)[key]
    with pytest.raises(ContainerError, match="it has no groups yet"):
        LiveCgroup(())[key]


@pytest.mark.parametrize(
    ("groups", "key", "value", "file", "written"),
    [
        (V1, "memory.max", "999999999", "memory/memory.limit_in_bytes", "999999999"),
        (V1, "memory.swap.max", "1G", "memory/memory.memsw.limit_in_bytes", "1140850688"),
        (V1, "cpu.weight", 10000, "cpu/cpu.shares", "262144"),
        (V1, "cpu.max", "90000 80000", "cpu/cpu.cfs_quota_us", "90000"),
        (V1, "cgroup.freeze", 1, "freezer/freezer.state", "FROZEN"),
        (V2, "memory.limit_in_bytes", "999999999", "all/memory.max", "999999999"),
        (V2, "cpu.cfs_quota_us", 90000, "all/cpu.max", "90000 100000"),
        (V2, "freezer.state", "FROZEN", "all/cgroup.freeze", "1"),
    ],
)  # fmt: skip
def test_writing(
    tmp_path: Path, groups: dict[str, dict[str, str]], key: str, value: str | int, file: str, written: str
) -> None:
    live(tmp_path, groups)[key] = value
    assert (tmp_path / file).read_text().splitlines()[0] == written


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory.max", "1GB"), ("memory.max", True), ("cpu.max", "x"), ("cgroup.freeze", "2"),
        ("io.max", "/dev/null rbps=1"),
    ],
)  # fmt: skip
def test_wrong_values(tmp_path: Path, key: str, value: str) -> None:
    groups = live(tmp_path, V1 if key != "io.max" else V2)
    with pytest.raises(ValueError, match=key):
        groups[key] = value


def test_writing_what_no_group_has(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="cannot write"):
        live(tmp_path, V1)["memory.min"] = "1M"


def test_it_has_what_can_be_read(tmp_path: Path) -> None:
    group = live(tmp_path, V2)
    (tmp_path / "all/memory.reclaim").touch(0o200)
    (tmp_path / "all/below").mkdir()
    assert list(group) == sorted(V2["all"])
    assert [name in group for name in ("memory.max", "memory.limit_in_bytes", "hugetlb.2MB.max")] == [True, True, False]
    assert repr(group) == f"<LiveCgroup {tmp_path}/all>"
    assert list(LiveCgroup(())) == []
