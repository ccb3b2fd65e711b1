from __future__ import annotations

import pytest

from haconiwa.host.cgroups import Hierarchy, describe_layout, own_group, parse_hierarchies
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


MEMBERSHIP = """\
4:memory:/a/b
3:cpuacct,cpu:/
2:freezer:/..
1:name=systemd:/x
0::/user.slice/session-1.scope
"""


@pytest.mark.parametrize(
    ("version", "controllers", "root", "expected"),
    [
        (2, ("memory",), "/", "/cg/user.slice/session-1.scope"),
        (2, (), "/user.slice", "/cg/session-1.scope"),
        (2, (), "/user.slice/session-1.scope", "/cg"),
        (2, (), "/elsewhere", None),
        (1, ("memory",), "/", "/cg/a/b"),
        (1, ("memory",), "/a", "/cg/b"),
        (1, ("cpu", "cpuacct"), "/", "/cg"),
        (1, ("freezer",), "/", None),
        (1, ("pids",), "/", None),
    ],
)
def test_the_group_that_a_process_is_in(
    version: int, controllers: tuple[str, ...], root: str, expected: str | None
) -> None:
    hierarchy = Hierarchy(version=version, mount_point="/cg", controllers=controllers, root=root)
    assert own_group(hierarchy, MEMBERSHIP) == expected


def test_a_mounted_part_of_a_hierarchy() -> None:
    (part,) = parse_hierarchies(V2.replace(" / /sys", " /lane /sys"))
    assert (part.root, part.mount_point) == ("/lane", "/sys/fs/cgroup")


def test_groups_lie_below_the_base() -> None:
    assert Hierarchy(version=2, mount_point="/cg", base="/cg/own").group("web") == "/cg/own/haconiwa/web"


def test_the_layout_in_words() -> None:
    assert describe_layout(()) == "no cgroups"
    assert describe_layout(parse_hierarchies(V2)) == "cgroup v2: no controllers"
    assert describe_layout(parse_hierarchies(V1)) == "cgroup v1: cpu cpuacct freezer memory"
    assert describe_layout(parse_hierarchies(HYBRID)) == "cgroup v1: cpu cpuacct freezer memory; v2: no controllers"
