"""The private /dev: a tmpfs with the harmless device nodes and nothing of the host's.

The nodes are made in the detached tmpfs, before it can be reached by a path. In a user namespace nodes cannot be made,
so the host's are bind-mounted. So are devices that a container without a /dev of its own asks for.
"""

from __future__ import annotations

import os
import stat

from haconiwa.isolation.confined import make_directory
from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.isolation.trees import attach, clone_tree, make_filesystem
from haconiwa.kernel.mount import MOUNT_ATTR
from haconiwa.spec.model import MountSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.devices import DeviceSpec
    from haconiwa.spec.model import ContainerSpec

NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
"""Name, major and minor number of the harmless character devices."""

_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_FOLDERS = ("pts", "shm", "mqueue")
_ATTRIBUTES = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC


class MountPrivateDev(Step):
    """Attach a /dev of the container's own.

    Args:
        mount: What asked for it.
        extra: Device nodes besides the harmless ones.
        binds_nodes: The nodes are the host's; `extra` then comes as mounts of its own.
    """

    __slots__ = ("binds_nodes", "extra")

    def __init__(self, mount: MountSpec, extra: tuple[DeviceSpec, ...] = (), *, binds_nodes: bool) -> None:
        super().__init__(CHILD, mount.where)
        self.binds_nodes = binds_nodes
        self.extra = () if binds_nodes else extra

    def describe(self) -> str:
        names = [name for name, _, _ in NODES] + [device.path.removeprefix("/dev/") for device in self.extra]
        return f'mount a private "/dev" with {", ".join(names)}'

    def execute(self, site: Site) -> None:
        dev_fd = make_filesystem("tmpfs", "dev", parse_options("mode=755,size=64k,nr_inodes=1k", _ATTRIBUTES))
        for name, target in _LINKS:
            os.symlink(target, name, dir_fd=dev_fd)
        for name in _FOLDERS:
            os.mkdir(name, 0o755, dir_fd=dev_fd)
        if not self.binds_nodes:
            _make_nodes(dev_fd, self.extra)
        attach(dev_fd, site.root_fd, "/dev")
        if self.binds_nodes:
            for name, _major, _minor in NODES:
                node_fd = clone_tree(f"/dev/{name}", recursive=False, attributes=_ATTRIBUTES | MOUNT_ATTR.RDONLY)
                attach(node_fd, site.root_fd, f"/dev/{name}")


def _make_nodes(dev_fd: int, extra: tuple[DeviceSpec, ...]) -> None:
    umask = os.umask(0)
    try:
        for name, major, minor in NODES:
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=dev_fd)
        for device in extra:
            _make_node(dev_fd, device)
    finally:
        os.umask(umask)


def _make_node(dev_fd: int, device: DeviceSpec) -> None:
    """Make a node with the mode and owner that the host's has, if it has one."""
    folder, name = os.path.split(device.path.removeprefix("/dev/"))
    number = os.makedev(device.major, device.minor)
    mode, uid, gid = 0o600, 0, 0
    try:
        status = os.stat(device.path)
        if status.st_rdev == number:
            mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    except OSError:
        pass  # the host has none
    folder_fd = make_directory(dev_fd, folder)
    try:
        kind = stat.S_IFBLK if device.type == "b" else stat.S_IFCHR
        os.mknod(name, kind | mode, number, dir_fd=folder_fd)
        os.chown(name, uid, gid, dir_fd=folder_fd, follow_symlinks=False)
    finally:
        os.close(folder_fd)


class MountHostDev(Step):
    """Show the host's own devices: what `mount_independent("devtmpfs", host=True)` asks for."""

    def __init__(self, mount: MountSpec) -> None:
        super().__init__(CHILD, mount.where)

    def describe(self) -> str:
        return 'mount the host\'s devices on "/dev"'

    def execute(self, site: Site) -> None:
        fd = make_filesystem("devtmpfs", "dev", parse_options("", _ATTRIBUTES))
        attach(fd, site.root_fd, "/dev")


def plan(mount: MountSpec, spec: ContainerSpec) -> list[Step]:
    """The step for "devtmpfs"."""
    if mount.host:
        return [MountHostDev(mount)]
    return [MountPrivateDev(mount, spec.devices, binds_nodes=_binds_nodes(spec))]


def _binds_nodes(spec: ContainerSpec) -> bool:
    """Whether no node can be made."""
    return "user" in spec.namespaces or spec.unprivileged


def binds(spec: ContainerSpec) -> list[MountSpec]:
    """Bind mounts for the devices that are not made as nodes in a private /dev.

    The root is mounted without devices, and in a user namespace no node can be made.
    """
    dev = next((mount for mount in spec.mounts if mount.kind == "devtmpfs"), None)
    if dev is not None and dev.host:
        return []
    made = dev is not None and not _binds_nodes(spec)
    return [
        MountSpec(
            kind="bind",
            source=device.path,
            destination=device.path,
            options="dev,nosuid,noexec",
            recursive=False,
            where=device.where,
        )
        for device in spec.devices
        if not (made and device.path.startswith("/dev/"))
    ]
