"""Namespaces made for a container, or entered.

New ones come with the clone itself, the user namespace first by the kernel's own order, so that all others belong to
it. Two are different: a cgroup namespace is unshared after the process has joined its groups, because it is rooted at
the groups it is made in; and an existing pid namespace is entered by the supervisor, because it takes only children.
See: namespaces(7), clone(2).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError
from haconiwa.isolation.step import BIRTH, CHILD, PARENT, SUPERVISOR, Site, Step
from haconiwa.kernel.files import NSFS_MAGIC, fstatfs
from haconiwa.kernel.namespaces import CLONE, namespace_type, setns, unshare
from haconiwa.kernel.process import clone3, set_dumpable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, IdMapping, JoinedNamespace

FLAGS = {
    "mount": CLONE.NEWNS,
    "cgroup": CLONE.NEWCGROUP,
    "uts": CLONE.NEWUTS,
    "ipc": CLONE.NEWIPC,
    "user": CLONE.NEWUSER,
    "pid": CLONE.NEWPID,
    "net": CLONE.NEWNET,
    "time": CLONE.NEWTIME,
}
"""The kernel's flag of each word of `namespace.unshare`."""

PROC_NAMES = {"mount": "mnt"}
"""Names below /proc/PID/ns where they differ from the words."""


MAPS_WRITTEN = b"M"
"""What the supervisor tells the child once it may take on ids."""


class CloneProcess(Step):
    """Make the container's process, born in its group of the v2 hierarchy. Both processes return from `execute`."""

    __slots__ = ("enters_pid", "names", "unprivileged")

    def __init__(self, spec: ContainerSpec) -> None:
        super().__init__(BIRTH)
        self.unprivileged = spec.unprivileged
        later = {"cgroup", "time"} if spec.time_offsets else {"cgroup"}
        self.names = tuple(name for name in spec.namespaces if name not in later)
        self.enters_pid = any(joined.type == "pid" for joined in spec.joined_namespaces)

    def describe(self) -> str:
        return "clone the process" + (f" into new namespaces: {' '.join(self.names)}" if self.names else "")

    @property
    def flags(self) -> int:
        """The namespaces that come with the clone."""
        flags = 0
        for name in self.names:
            flags |= FLAGS[name]
        return flags

    def execute(self, site: Site) -> None:
        site.child_pid, site.child_pidfd = clone3(self.flags, cgroup_fd=site.cgroup_fd)

    def hint(self, number: int) -> str:
        if number == errno.EPERM:
            return "haconiwa check --host says how users may make them" if self.unprivileged else "run it as root"
        if number == errno.EACCES and self.unprivileged:
            return "its cgroup can be joined only from one below the same delegated group: systemd-run --user --scope …"
        if number == errno.ENOSPC and self.unprivileged:
            return "the limits are in /proc/sys/user/max_*_namespaces"
        if number == errno.ENOMEM and self.enters_pid:
            return "the first process of the pid namespace has ended, so nothing can be started in it any more"
        return ""


class OpenNamespace(Step):
    """Open an existing namespace by its path and check that it is one of the right type."""

    __slots__ = ("joined",)

    def __init__(self, joined: JoinedNamespace) -> None:
        super().__init__(SUPERVISOR, joined.where)
        self.joined = joined

    def describe(self) -> str:
        return f'open the {self.joined.type} namespace "{self.joined.path}"'

    def execute(self, site: Site) -> None:
        fd = os.open(self.joined.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if fstatfs(fd) != NSFS_MAGIC or namespace_type(fd) != FLAGS[self.joined.type]:
            os.close(fd)
            raise ContainerError(
                f"cannot {self.describe()}",
                why=f"it is not a {self.joined.type} namespace",
                hint=f"give a path such as /proc/PID/ns/{PROC_NAMES.get(self.joined.type, self.joined.type)}",
                where=self.where,
            )
        site.trees[self.joined.type] = fd

    def hint(self, number: int) -> str:
        return "what made it has ended, or has not begun" if number == errno.ENOENT else ""


class EnterNamespace(Step):
    """Enter an opened namespace."""

    __slots__ = ("type",)

    def __init__(self, joined: JoinedNamespace) -> None:
        super().__init__(SUPERVISOR if joined.type == "pid" else CHILD, joined.where)
        self.type = joined.type

    def describe(self) -> str:
        return f"enter the {self.type} namespace"

    def execute(self, site: Site) -> None:
        fd = site.trees[self.type]
        # The kernel refuses to enter the user namespace that one is in already.
        if self.type != "user" or not os.path.samestat(os.fstat(fd), os.stat("/proc/self/ns/user")):
            setns(fd, FLAGS[self.type])


class LeavePidNamespace(Step):
    """Make the supervisor's further children its own again after the container was cloned into another namespace."""

    def __init__(self) -> None:
        super().__init__(PARENT)

    def describe(self) -> str:
        return "return to the supervisor's own pid namespace"

    def execute(self, site: Site) -> None:
        fd = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(fd, CLONE.NEWPID)
        finally:
            os.close(fd)


class WriteIdMaps(Step):
    """Write the maps of the new user namespace, and let the child go on."""

    __slots__ = ("gid_mappings", "uid_mappings")

    def __init__(self, uid_mappings: tuple[IdMapping, ...], gid_mappings: tuple[IdMapping, ...]) -> None:
        super().__init__(PARENT)
        self.uid_mappings = uid_mappings
        self.gid_mappings = gid_mappings

    def describe(self) -> str:
        return f"map the user ids {format_maps(self.uid_mappings)} and the group ids {format_maps(self.gid_mappings)}"

    def execute(self, site: Site) -> None:
        self.write(site.child_pid)
        os.write(site.channel_fd, MAPS_WRITTEN)

    def write(self, pid: int) -> None:
        """Write both maps of a process's user namespace."""
        write_map(pid, "uid_map", self.uid_mappings)
        write_map(pid, "gid_map", self.gid_mappings)

    def hint(self, number: int) -> str:
        return "the ranges must not overlap, and root may map any id of the host" if number == errno.EINVAL else ""


def write_map(pid: int, name: str, mappings: tuple[IdMapping, ...]) -> None:
    """Write ``uid_map`` or ``gid_map`` of a process's user namespace, all lines at once as the kernel wants it."""
    text = "".join(f"{m.container_id} {m.host_id} {m.size}\n" for m in mappings)
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def format_maps(mappings: tuple[IdMapping, ...]) -> str:
    """Maps as a reader takes them in: ``0-999 to 100000-100999``."""
    return ", ".join(
        f"{m.container_id}-{m.container_id + m.size - 1} to {m.host_id}-{m.host_id + m.size - 1}" for m in mappings
    )


class AwaitIdMaps(Step):
    """Wait until the supervisor has written the maps of the new user namespace.

    An ordinary user may write them, and its programs, while the process is one that it could trace. So this process
    hides only then; before, nothing can look at it that could not look at the supervisor.
    """

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "wait for the id maps"

    def execute(self, site: Site) -> None:
        if os.read(site.channel_fd, 16) != MAPS_WRITTEN:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        set_dumpable(False)


class BecomeMappedRoot(Step):
    """Take on id 0 of the user namespace; the ids from outside mean nothing in it."""

    __slots__ = ("keeps_groups",)

    def __init__(self, *, keeps_groups: bool) -> None:
        super().__init__(CHILD)
        self.keeps_groups = keeps_groups

    def describe(self) -> str:
        return "become root of the user namespace"

    def execute(self, site: Site) -> None:
        if not self.keeps_groups:
            os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    def hint(self, number: int) -> str:
        return "both maps must have the id 0 inside" if number == errno.EINVAL else ""


class UnshareCgroupNamespace(Step):
    """See only the container's own groups."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "unshare the cgroup namespace"

    def execute(self, site: Site) -> None:
        unshare(CLONE.NEWCGROUP)


def plan_opening(spec: ContainerSpec) -> list[Step]:
    """Steps that open the namespaces to enter."""
    steps: list[Step] = [OpenNamespace(joined) for joined in spec.joined_namespaces]
    steps += [EnterNamespace(joined) for joined in spec.joined_namespaces if joined.type == "pid"]
    return steps


def plan_maps(spec: ContainerSpec) -> list[Step]:
    """Steps in the parent right around the clone."""
    steps: list[Step] = []
    if spec.time_offsets:
        from haconiwa.isolation import clocks

        steps += clocks.plan(spec.time_offsets)
    if spec.persisted_namespaces:
        from haconiwa.isolation import persistence

        steps += persistence.plan(spec)
    if any(joined.type == "pid" for joined in spec.joined_namespaces):
        steps.append(LeavePidNamespace())
    if "user" in spec.namespaces and spec.unprivileged:
        from haconiwa.isolation.own_maps import WriteOwnIdMaps

        steps.append(WriteOwnIdMaps(spec.uid_mappings, spec.gid_mappings))
    elif "user" in spec.namespaces:
        steps.append(WriteIdMaps(spec.uid_mappings, spec.gid_mappings))
    return steps


def plan_entering(spec: ContainerSpec) -> list[Step]:
    """The child's first steps. The user namespace is entered last: before, root may enter any other.

    Until it takes on other ids the child may open what the caller may open: that is when an ordinary user's opens.
    """
    by_type = sorted(spec.joined_namespaces, key=lambda joined: joined.type == "user")
    steps: list[Step] = [EnterNamespace(joined) for joined in by_type if joined.type != "pid"]
    if "user" in spec.namespaces:
        steps.append(AwaitIdMaps())
    return steps


def plan_becoming(spec: ContainerSpec) -> list[Step]:
    """The child's step once nothing more is to be opened with the ids of whoever starts it."""
    return [BecomeMappedRoot(keeps_groups=spec.keeps_groups)] if "user" in spec.namespaces else []


def plan_cgroup(spec: ContainerSpec) -> list[Step]:
    """The step after the groups were joined."""
    return [UnshareCgroupNamespace()] if "cgroup" in spec.namespaces else []
