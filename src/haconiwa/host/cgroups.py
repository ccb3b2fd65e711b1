"""Which cgroup hierarchies this machine has, and where.

Three layouts exist: v2 alone, v1 alone, and hybrid (v1 controllers beside a v2 hierarchy without any).
See: cgroups(7).
"""

from __future__ import annotations

import os

from haconiwa.kernel.files import CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC, fstatfs
from haconiwa.spec.record import Record


class Hierarchy(Record):
    """One mounted cgroup hierarchy.

    Attributes:
        version: 1 or 2.
        mount_point: Absolute path.
        controllers: Names; of a v1 hierarchy those it was mounted with.
    """

    version: int
    mount_point: str
    controllers: tuple[str, ...] = ()


_MAGIC = {1: CGROUP_SUPER_MAGIC, 2: CGROUP2_SUPER_MAGIC}
_V1_CONTROLLERS = frozenset(
    "blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma".split()
)


def parse_hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The hierarchies in the text of /proc/PID/mountinfo; of several mounts of one hierarchy the first.

    See: proc_pid_mountinfo(5).
    """
    found: dict[tuple[str, str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if not right.startswith("cgroup"):
            continue
        fields, (fstype, _source, options) = left.split(), right.split(maxsplit=2)
        mount_point = fields[4].replace("\\040", " ")
        words = tuple(sorted(_V1_CONTROLLERS.intersection(options.split(","))))
        if fstype == "cgroup2":
            found.setdefault((fstype, ""), Hierarchy(version=2, mount_point=mount_point))
        elif words:
            found.setdefault((fstype, fields[2]), Hierarchy(version=1, mount_point=mount_point, controllers=words))
    return tuple(found.values())


def hierarchies() -> tuple[Hierarchy, ...]:
    """The hierarchies mounted on this machine, as seen by this process."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return tuple(hierarchy for hierarchy in parse_hierarchies(file.read()) if _is_visible(hierarchy))


def _is_visible(hierarchy: Hierarchy) -> bool:
    """Whether its path leads to it: another mount may cover it, or a chroot hide it."""
    try:
        fd = os.open(hierarchy.mount_point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return fstatfs(fd) == _MAGIC[hierarchy.version]
    finally:
        os.close(fd)
