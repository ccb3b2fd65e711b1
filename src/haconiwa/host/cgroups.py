"""Which cgroup hierarchies this machine has, and where.

Three layouts exist: v2 alone, v1 alone, and hybrid (v1 controllers beside a v2 hierarchy without any).
See: cgroups(7).
"""

from __future__ import annotations

import os

from haconiwa.kernel.files import CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC, fstatfs
from haconiwa.spec.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Hierarchy(Record):
    """One mounted cgroup hierarchy.

    Attributes:
        version: 1 or 2.
        mount_point: Absolute path.
        controllers: Names; of a v1 hierarchy those it was mounted with, of v2 those that groups below `base` can have.
        root: The group that is mounted there, as /proc/PID/cgroup names it.
        base: The group below which ours are made; empty for the mount point.
    """

    version: int
    mount_point: str
    controllers: tuple[str, ...] = ()
    root: str = "/"
    base: str = ""

    def group(self, name: str) -> str:
        """Absolute path of a container's group."""
        return f"{self.base or self.mount_point}/{PARENT_GROUP}/{name}"


PARENT_GROUP = "haconiwa"
"""The group that holds those of all containers."""

LEAF_GROUP = "haconiwa-host"
"""Where the processes of a delegated group go, which may not have any itself while it has controllers."""

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
        root, mount_point = (field.replace("\\040", " ") for field in fields[3:5])
        words = tuple(sorted(_V1_CONTROLLERS.intersection(options.split(","))))
        if fstype == "cgroup2":
            found.setdefault((fstype, ""), Hierarchy(version=2, mount_point=mount_point, root=root))
        elif words:
            hierarchy = Hierarchy(version=1, mount_point=mount_point, controllers=words, root=root)
            found.setdefault((fstype, fields[2]), hierarchy)
    return tuple(found.values())


def hierarchies() -> tuple[Hierarchy, ...]:
    """The hierarchies mounted on this machine, as seen by this process."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return tuple(_based(hierarchy) for hierarchy in parse_hierarchies(file.read()) if _is_visible(hierarchy))


def writable(found: tuple[Hierarchy, ...]) -> tuple[Hierarchy, ...]:
    """Those in which the caller may make groups, and move its processes there from where they are.

    An ordinary user has such a group where a service manager has delegated one, to user@UID.service or a scope in it.
    """
    return tuple(
        hierarchy
        for hierarchy in found
        if all(os.access(path, os.W_OK) for path in (hierarchy.base, f"{hierarchy.base}/cgroup.procs"))
    )


def cgroup_layout(found: tuple[Hierarchy, ...]) -> str:
    """Which of the layouts it is: none, v1, v2 or hybrid."""
    versions = {hierarchy.version for hierarchy in found}
    return {frozenset(): "none", frozenset({1}): "v1", frozenset({2}): "v2"}.get(frozenset(versions), "hybrid")


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


def _based(hierarchy: Hierarchy) -> Hierarchy:
    """With the place of our groups: below the root, or below the group that we are in.

    The latter where the root is not ours, or where a service manager has given us the group and all below it.
    """
    base = hierarchy.mount_point
    if hierarchy.version == 2 or not os.access(base, os.W_OK):
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            own = own_group(hierarchy, file.read())
        if own is not None and os.path.basename(own) == LEAF_GROUP:  # where a start before this one has moved us
            own = os.path.dirname(own)
        if own is not None and (_is_delegated(own) or not os.access(base, os.W_OK)) and os.access(own, os.W_OK):
            base = own
    if hierarchy.version == 1:
        return replace(hierarchy, base=base)
    return replace(hierarchy, base=base, controllers=tuple(_read(f"{base}/cgroup.controllers").split()))


def _is_delegated(path: str) -> bool:
    """Whether systemd has marked a group as delegated. See: systemd.resource-control(5), Delegate=."""
    try:
        return os.getxattr(path, "trusted.delegate") == b"1"
    except OSError:
        return False


def own_group(hierarchy: Hierarchy, membership: str) -> str | None:
    """Absolute path of the group that a process is in; None when it cannot be seen from here.

    Args:
        hierarchy: Which one.
        membership: The text of /proc/PID/cgroup.

    See: cgroups(7), /proc/pid/cgroup.
    """
    wanted = () if hierarchy.version == 2 else hierarchy.controllers
    for line in membership.splitlines():
        _number, controllers, path = line.split(":", 2)
        if tuple(sorted(filter(None, controllers.split(",")))) != wanted:
            continue
        root = hierarchy.root.rstrip("/")
        if path == hierarchy.root or path.startswith(f"{root}/"):
            below = path[len(root) :].rstrip("/")
            return None if below.startswith("/..") else hierarchy.mount_point + below
    return None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def describe_layout(found: Iterable[Hierarchy]) -> str:
    """The controllers of a host in words: ``cgroup v1: cpu memory; v2: no controllers``."""
    v1 = sorted({name for hierarchy in found if hierarchy.version == 1 for name in hierarchy.controllers})
    v2 = [hierarchy for hierarchy in found if hierarchy.version == 2]
    parts = [f"v1: {' '.join(v1)}"] if v1 else []
    parts += [f"v2: {' '.join(hierarchy.controllers) or 'no controllers'}" for hierarchy in v2]
    return f"cgroup {'; '.join(parts)}" if parts else "no cgroups"
