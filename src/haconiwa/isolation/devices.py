"""The private /dev: a tmpfs with the harmless device nodes and nothing of the host's.

The nodes are made in the detached tmpfs, before it can be reached by a path. In a user namespace nodes cannot be made,
so the host's are bind-mounted.
"""

from __future__ import annotations

import os
import stat

from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.isolation.trees import attach, clone_tree, make_filesystem
from haconiwa.kernel.mount import MOUNT_ATTR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, MountSpec

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
    """Attach a /dev of the container's own."""

    __slots__ = ("binds_nodes",)

    def __init__(self, mount: MountSpec, *, binds_nodes: bool) -> None:
        super().__init__(CHILD, mount.where)
        self.binds_nodes = binds_nodes

    def describe(self) -> str:
        return f'mount a private "/dev" with {", ".join(name for name, _, _ in NODES)}'

    def execute(self, site: Site) -> None:
        dev_fd = make_filesystem("tmpfs", "dev", parse_options("mode=755,size=64k,nr_inodes=1k", _ATTRIBUTES))
        for name, target in _LINKS:
            os.symlink(target, name, dir_fd=dev_fd)
        for name in _FOLDERS:
            os.mkdir(name, 0o755, dir_fd=dev_fd)
        if not self.binds_nodes:
            _make_nodes(dev_fd)
        attach(dev_fd, site.root_fd, "/dev")
        if self.binds_nodes:
            for name, _major, _minor in NODES:
                node_fd = clone_tree(f"/dev/{name}", recursive=False, attributes=_ATTRIBUTES | MOUNT_ATTR.RDONLY)
                attach(node_fd, site.root_fd, f"/dev/{name}")


def _make_nodes(dev_fd: int) -> None:
    umask = os.umask(0)
    try:
        for name, major, minor in NODES:
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=dev_fd)
    finally:
        os.umask(umask)


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
    return [MountPrivateDev(mount, binds_nodes="user" in spec.namespaces)]
