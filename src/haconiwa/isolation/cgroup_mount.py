"""The container's own control groups in its /sys/fs/cgroup.

Mounted from within the cgroup namespace a hierarchy begins at the container's group, so nothing of the host's is seen.
Where v1 controllers are in use each hierarchy has a folder as on the host.
See: cgroup_namespaces(7)
"""

from __future__ import annotations

import os

from haconiwa.errors import ConfigError, Problem
from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.isolation.trees import attach, make_filesystem
from haconiwa.kernel.mount import AT, MOUNT_ATTR, mount_setattr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.model import MountSpec

_HARMLESS = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC
_V2_BESIDE_V1 = "unified"


class MountCgroups(Step):
    """Mount all hierarchies."""

    __slots__ = ("attributes", "destination", "hierarchies")

    def __init__(self, mount: MountSpec, hierarchies: tuple[Hierarchy, ...]) -> None:
        super().__init__(CHILD, mount.where)
        self.destination = mount.destination
        self.attributes = _HARMLESS | (MOUNT_ATTR.RDONLY if mount.readonly else 0)
        self.hierarchies = hierarchies

    def describe(self) -> str:
        words = " read-only" if self.attributes & MOUNT_ATTR.RDONLY else ""
        return f'mount the container\'s control groups on "{self.destination}"{words}'

    def execute(self, site: Site) -> None:
        if all(hierarchy.version == 2 for hierarchy in self.hierarchies):
            for hierarchy in self.hierarchies:
                attach(self._make(hierarchy), site.root_fd, self.destination)
            return
        folders_fd = make_filesystem("tmpfs", "cgroup", parse_options("mode=755,size=64k", _HARMLESS))
        for hierarchy in self.hierarchies:
            _make_folder(folders_fd, hierarchy)
        attach(os.dup(folders_fd), site.root_fd, self.destination)
        for hierarchy in self.hierarchies:
            attach(self._make(hierarchy), site.root_fd, f"{self.destination}/{folder_name(hierarchy)}")
        mount_setattr(folders_fd, "", AT.EMPTY_PATH, attr_set=MOUNT_ATTR.RDONLY)
        os.close(folders_fd)

    def _make(self, hierarchy: Hierarchy) -> int:
        if hierarchy.version == 2:
            return make_filesystem("cgroup2", "cgroup2", parse_options("", self.attributes))
        return make_filesystem("cgroup", "cgroup", parse_options(",".join(hierarchy.controllers), self.attributes))


def folder_name(hierarchy: Hierarchy) -> str:
    """The name of a hierarchy's folder: its controllers, as everywhere."""
    return _V2_BESIDE_V1 if hierarchy.version == 2 else ",".join(hierarchy.controllers)


def _make_folder(folders_fd: int, hierarchy: Hierarchy) -> None:
    """Make a folder, and links for controllers that share a hierarchy."""
    name = folder_name(hierarchy)
    os.mkdir(name, 0o755, dir_fd=folders_fd)
    if hierarchy.version == 1 and len(hierarchy.controllers) > 1:
        for controller in hierarchy.controllers:
            os.symlink(name, controller, dir_fd=folders_fd)


def plan(mount: MountSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    """The step for "cgroup".

    Raises:
        ConfigError: The host has no hierarchy.
    """
    if not hierarchies:
        raise ConfigError(Problem('mount_independent("cgroup"): this host has no cgroups', mount.where))
    return [MountCgroups(mount, hierarchies)]
