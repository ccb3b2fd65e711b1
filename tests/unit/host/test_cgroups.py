from __future__ import annotations

from haconiwa.host.cgroups import Hierarchy, parse_hierarchies
from haconiwa.isolation.cgroups import tracking_hierarchy


def tracking_path(text: str) -> str:
    hierarchy = tracking_hierarchy(parse_hierarchies(text))
    return hierarchy.group("web") if hierarchy else ""


V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
30 25 0:27 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:28 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,name=systemd
32 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct
33 30 0:30 / /sys/fs/cgroup/freezer rw shared:12 - cgroup cgroup rw,freezer
34 30 0:31 / /sys/fs/cgroup/memory rw shared:13 - cgroup cgroup rw,memory,release_agent=/x
"""
HYBRID = V1 + "35 30 0:32 / /sys/fs/cgroup/unified rw shared:14 - cgroup2 cgroup2 rw\n"


def test_v2_alone() -> None:
    assert parse_hierarchies(V2) == (Hierarchy(version=2, mount_point="/sys/fs/cgroup"),)
    assert tracking_path(V2) == "/sys/fs/cgroup/haconiwa/web"


def test_v1_alone() -> None:
    assert parse_hierarchies(V1) == (
        Hierarchy(version=1, mount_point="/sys/fs/cgroup/cpu,cpuacct", controllers=("cpu", "cpuacct")),
        Hierarchy(version=1, mount_point="/sys/fs/cgroup/freezer", controllers=("freezer",)),
        Hierarchy(version=1, mount_point="/sys/fs/cgroup/memory", controllers=("memory",)),
    )
    assert tracking_path(V1) == "/sys/fs/cgroup/freezer/haconiwa/web"


def test_v1_without_the_freezer_takes_another_controller() -> None:
    text = "".join(line for line in V1.splitlines(keepends=True) if "freezer" not in line)
    assert tracking_path(text) == "/sys/fs/cgroup/memory/haconiwa/web"


def test_hybrid_prefers_v2() -> None:
    assert parse_hierarchies(HYBRID)[-1] == Hierarchy(version=2, mount_point="/sys/fs/cgroup/unified")
    assert tracking_path(HYBRID) == "/sys/fs/cgroup/unified/haconiwa/web"


def test_no_cgroups_at_all() -> None:
    assert parse_hierarchies("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n") == ()
    assert parse_hierarchies("") == ()
    assert tracking_hierarchy(()) is None


def test_of_several_mounts_of_one_hierarchy_the_first() -> None:
    again = V2.replace("29 23", "99 98").replace(" /sys/fs/cgroup ", " /mnt/again ")
    assert parse_hierarchies(V2 + again) == parse_hierarchies(V2)
    v1_again = "40 30 0:30 / /mnt/freezer rw shared:12 - cgroup cgroup rw,freezer\n"
    assert parse_hierarchies(V1 + v1_again) == parse_hierarchies(V1)


def test_mount_point_with_a_space_and_without_optional_fields() -> None:
    text = "29 23 0:26 / /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n"
    assert parse_hierarchies(text) == (Hierarchy(version=2, mount_point="/mnt/my groups"),)
