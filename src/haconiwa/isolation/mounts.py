"""Mounts in the container: bind mounts, file systems, and the independent ones of `mount_independent`.

A target is always resolved inside the container's root through a descriptor; nothing in it can lead a mount outside.
Independent mounts come first, so that whatever order a file has, its own mounts lie on top.
See: mount_setattr(2), fsopen(2).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ConfigError, Problem
from haconiwa.isolation import devices
from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, PARENT, SUPERVISOR, Site, Step
from haconiwa.isolation.trees import attach, clone_tree, make_filesystem
from haconiwa.kernel.files import PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs
from haconiwa.kernel.mount import MOUNT_ATTR
from haconiwa.spec.model import INDEPENDENT_MOUNTS, MountSpec
from haconiwa.spec.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.isolation.mount_options import MountOptions
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.mount_words import Extras

_NODEV = MOUNT_ATTR.NODEV
_HARMLESS = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC

_FILESYSTEMS = {
    "procfs": ("proc", "/proc", ""),
    "sysfs": ("sysfs", "/sys", "ro"),
    "devpts": ("devpts", "/dev/pts", "dev,newinstance,ptmxmode=0666,mode=0620"),
    "shm": ("tmpfs", "/dev/shm", "mode=1777,size=64m"),
    "mqueue": ("mqueue", "/dev/mqueue", ""),
}
_OF_NAMESPACES = frozenset("proc sysfs tmpfs ramfs devpts mqueue cgroup cgroup2 binfmt_misc".split())
"""File systems that depend on the namespaces they are made in; all others depend on the host's paths and devices."""
_LOCKED = {
    errno.EPERM: "only root may take away what the host's mount has, such as ro, nosuid, nodev and noexec",
    errno.EINVAL: "only root may leave out what is mounted below it: recursive=False",
}
"""What the kernel keeps an ordinary user from, whose mount namespace has less rights than the host's."""

_TTY_GROUP = 5  # the group that owns terminals on every distribution


def _attach(fd: int, site: Site, destination: str, extras: Extras | None = None) -> None:
    """Attach a mount, and keep hold of procfs and sysfs for what masks parts of them.

    By its path the mask could miss: a link in the root, or a later mount, may lead the path elsewhere by then.
    """
    if fstatfs(fd) in (PROC_SUPER_MAGIC, SYSFS_MAGIC):
        site.kernel_mounts.append((destination, os.dup(fd)))
    if extras is None:
        attach(fd, site.root_fd, destination)
    else:
        _own(fd, extras)
        attach(fd, site.root_fd, destination, extras.folder_mode)


def _own(fd: int, extras: Extras) -> None:
    """Give the mounted directory its owner and mode."""
    if (extras.uid, extras.gid, extras.mode) == (-1, -1, -1):
        return
    folder_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        os.fchown(folder_fd, extras.uid, extras.gid)
        if extras.mode != -1:
            os.fchmod(folder_fd, extras.mode)
    finally:
        os.close(folder_fd)


class OpenSource(Step):
    """Clone the source of a bind mount as a detached mount, with its options set."""

    __slots__ = ("key", "mount")

    def __init__(self, key: str, mount: MountSpec, place: str) -> None:
        super().__init__(place, mount.where)
        self.key = key
        self.mount = mount

    def describe(self) -> str:
        return f'open "{self.mount.source}" to bind it on "{self.mount.destination}"'

    def execute(self, site: Site) -> None:
        options = _bind_options(self.mount)
        try:
            site.trees[self.key] = clone_tree(
                self.mount.source,
                recursive=self.mount.recursive,
                attributes=options.attributes,
                cleared=options.cleared,
                propagation=options.propagation,
            )
        except FileNotFoundError:
            if not self.mount.optional:
                raise
            return
        if options.extras is not None and options.extras.idmap is not None:
            from haconiwa.isolation.idmap import map_bind

            map_bind(site.trees[self.key], options.extras.idmap, site.spec, recursive=self.mount.recursive)

    def undo(self, site: Site) -> None:
        close_tree(site, self.key)

    def hint(self, number: int) -> str:
        missing = "create it, or pass optional=True to add_mount_point"
        if self.mount.destination == "/proc/cpuinfo":
            missing = "is lxcfs running, and mounted there?"
        if self.place == CHILD and number in _LOCKED:
            return _LOCKED[number]
        return {
            errno.ENOENT: missing,
            errno.EMFILE: "each mount takes a descriptor until it is attached: raise the limit with ulimit -n",
            errno.ENOSPC: "the host allows no more mounts, see /proc/sys/fs/mount-max",
        }.get(number, "")


def _bind_options(mount: MountSpec) -> MountOptions:
    return parse_options(mount.options, _NODEV | (MOUNT_ATTR.RDONLY if mount.readonly else 0))


class AttachTree(Step):
    """Attach what was opened or made, making the missing target a directory or a file like it."""

    __slots__ = ("extras", "key", "mount")

    def __init__(self, key: str, mount: MountSpec) -> None:
        super().__init__(CHILD, mount.where)
        self.key = key
        self.mount = mount
        self.extras = parse_options(mount.options).extras

    def describe(self) -> str:
        words = " read-only" if self.mount.readonly else ""
        if self.mount.kind == "bind":
            return f'bind "{self.mount.source}" on "{self.mount.destination}"{words}'
        return f'attach {self.mount.fstype} on "{self.mount.destination}"{words}'

    def execute(self, site: Site) -> None:
        fd = site.trees.get(self.key)
        if fd is not None:
            _attach(fd, site, self.mount.destination, self.extras)


class MountFilesystem(Step):
    """Make a new instance of a file system and attach it."""

    __slots__ = ("mount", "options")

    def __init__(self, mount: MountSpec, preset: int = _NODEV, place: str = CHILD) -> None:
        super().__init__(place, mount.where)
        self.mount = mount
        if mount.readonly:
            preset |= MOUNT_ATTR.RDONLY
        if mount.fstype == "tmpfs":
            preset |= MOUNT_ATTR.NOSUID
        options = parse_options(mount.options, preset)
        if mount.kind == "filesystem" and options.attributes & MOUNT_ATTR.RDONLY and "ro=vfs" not in mount.options:
            # As for mount(8), the file system is read-only too: a journal is not replayed, a device not written to.
            options = replace(options, parameters=(("ro", None), *options.parameters))
        self.options = options

    def describe(self) -> str:
        options = f" with {self.mount.options}" if self.mount.options else ""
        return f'mount {self.mount.fstype} on "{self.mount.destination}"{options}'

    def make(self) -> int:
        """The file system as a detached mount."""
        return make_filesystem(self.mount.fstype, self.mount.source, self.options)

    def execute(self, site: Site) -> None:
        try:
            fd = self.make()
        except FileNotFoundError:
            if not self.mount.optional:
                raise
        else:
            _attach(fd, site, self.mount.destination, self.options.extras)

    def hint(self, number: int) -> str:
        if number == errno.EPERM and self.mount.fstype == "proc":
            return "in a user namespace procfs needs a pid namespace too, and a host whose own /proc is not covered"
        if number == errno.ENOENT:
            return "create its source, or pass optional=True to add_mount_point"
        return "see /proc/filesystems for what this kernel has" if number == errno.ENODEV else ""


class MakeFilesystem(MountFilesystem):
    """Make a file system on the host's side, where its source and its layers are found, to be attached later."""

    __slots__ = ("key",)

    def __init__(self, key: str, mount: MountSpec, place: str) -> None:
        super().__init__(mount, place=place)
        self.key = key

    def execute(self, site: Site) -> None:
        try:
            site.trees[self.key] = self.make()
        except FileNotFoundError:
            if not self.mount.optional:
                raise

    def undo(self, site: Site) -> None:
        close_tree(site, self.key)


class LetGo(Step):
    """Close the supervisor's copies of what the container's process attaches: it would hold the mounts for ever."""

    __slots__ = ("keys",)

    def __init__(self, keys: list[str]) -> None:
        super().__init__(PARENT)
        self.keys = keys

    def describe(self) -> str:
        return "let go of the opened mounts"

    def execute(self, site: Site) -> None:
        for key in self.keys:
            close_tree(site, key)


def close_tree(site: Site, key: str) -> None:
    """Close an opened mount of this process; nothing when it is closed already."""
    fd = site.trees.pop(key, -1)
    if fd >= 0:
        os.close(fd)


class MountSysfs(MountFilesystem):
    """Mount sysfs, or in a user namespace that does not own its network namespace a read-only view of the host's."""

    def execute(self, site: Site) -> None:
        try:
            super().execute(site)
        except PermissionError:
            fd = clone_tree("/sys", recursive=True, attributes=_HARMLESS | MOUNT_ATTR.RDONLY)
            _attach(fd, site, self.mount.destination)


def network_etc_mounts(spec: ContainerSpec) -> list[MountSpec]:
    """The host's name resolution, read-only: writing to it from inside would change the host's."""
    if spec.network is not None and spec.network.mode != "none" and "mount" in spec.namespaces:
        from haconiwa.isolation.net import etc

        return etc.mounts(spec, spec.network)
    if spec.network_etc is None:
        return []
    where = spec.sources.get("mount_network_etc")
    return [
        MountSpec(
            kind="bind",
            source=f"{spec.network_etc}/{name}",
            destination=f"/etc/{name}",
            readonly=True,
            optional=True,
            recursive=False,
            where=where,
        )
        for name in ("resolv.conf", "hosts")
    ]


def _in_order(spec: ContainerSpec) -> list[MountSpec]:
    """All mounts but the independent ones: what makes up the root, then /etc and devices, then the file's own."""
    own = [mount for mount in spec.mounts if mount.kind not in INDEPENDENT_MOUNTS]
    extra = devices.binds(spec) if spec.devices else []
    if spec.lxcfs_root is not None:
        from haconiwa.isolation import lxcfs

        extra += lxcfs.mounts(spec)
    return [*spec.root_mounts, *network_etc_mounts(spec), *extra, *own]


def _key(number: int) -> str:
    return f"mount {number}"


def plan_opening(spec: ContainerSpec) -> list[Step]:
    """The supervisor's steps: every bind source is opened, and every file system of the host's made, on its side.

    An ordinary user's child does it, in its own mount namespace, before it takes on other ids.

    Raises:
        ConfigError: A bind mount has an option that only a file system could understand.
    """
    problems = [
        Problem(f'add_mount_point: unknown option "{name}" for a bind mount', mount.where)
        for mount in spec.mounts
        if mount.kind == "bind"
        for name, _value in parse_options(mount.options).parameters
    ]
    if problems:
        raise ConfigError(problems)
    steps: list[OpenSource | MakeFilesystem] = []
    place = CHILD if spec.unprivileged else SUPERVISOR
    for number, mount in enumerate(_in_order(spec)):
        if mount.kind == "bind":
            steps.append(OpenSource(_key(number), mount, place))
        elif mount.fstype not in _OF_NAMESPACES:
            steps.append(MakeFilesystem(_key(number), mount, place))
    if spec.unprivileged:
        return [*steps]
    keys = [step.key for step in steps] + (["rootfs"] if spec.rootfs else [])
    return [*steps, LetGo(keys)] if keys else []


def plan_attaching(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...] = ()) -> list[Step]:
    """The child's steps: what makes up the root, then the independent mounts, then the file's own in its order."""
    steps = [
        MountFilesystem(mount) if mount.fstype in _OF_NAMESPACES else AttachTree(_key(n), mount)
        for n, mount in enumerate(_in_order(spec))
    ]
    first = len(spec.root_mounts)
    return steps[:first] + plan_independent(spec, hierarchies) + steps[first:]


def plan_independent(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...] = ()) -> list[Step]:
    """Steps for `mount_independent`, in the order of `INDEPENDENT_MOUNTS`."""
    asked = {mount.kind: mount for mount in spec.mounts}
    steps: list[Step] = []
    for kind in INDEPENDENT_MOUNTS:
        if kind in asked:
            steps += _plan_one(asked[kind], spec, hierarchies)
    return steps


def _plan_one(mount: MountSpec, spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    if mount.kind == "devtmpfs":
        return devices.plan(mount, spec)
    if mount.kind == "cgroup":
        from haconiwa.isolation import cgroup_mount

        return cgroup_mount.plan(mount, hierarchies)
    fstype, destination, options = _FILESYSTEMS[mount.kind]
    if mount.kind == "devpts" and _maps_group(spec, _TTY_GROUP):
        options += f",gid={_TTY_GROUP}"
    if mount.options:
        options = mount.options  # only procfs has some
    full = replace(mount, source=fstype, destination=destination, fstype=fstype, options=options)
    if mount.kind == "sysfs":
        return [MountSysfs(full, _HARMLESS)]
    return [MountFilesystem(full, _HARMLESS)]


def _maps_group(spec: ContainerSpec, gid: int) -> bool:
    """Whether a group id means something inside."""
    if "user" not in spec.namespaces and not spec.unprivileged:
        return True
    return any(m.container_id <= gid < m.container_id + m.size for m in spec.gid_mappings)
