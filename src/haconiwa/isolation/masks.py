"""Paths of procfs and sysfs that are hidden or made read-only.

Everything is opened inside the root through descriptors, before the root is entered; what covers a file is the host's
/dev/null, checked, and what covers directories is one empty read-only tmpfs.
"""

from __future__ import annotations

import os
import stat

from haconiwa.errors import ContainerError
from haconiwa.isolation.confined import is_directory, open_inside
from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.isolation.trees import AT_FDCWD, make_filesystem
from haconiwa.kernel.mount import AT, MOUNT_ATTR, MOVE_MOUNT, MS, OPEN_TREE, mount_setattr, move_mount, open_tree
from haconiwa.spec.model import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where
    from haconiwa.spec.model import ContainerSpec

_ONTO_FD = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH
_COPY = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC
_DEV_NULL = os.makedev(1, 3)
_MASK_ATTRIBUTES = MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC
_SHARED_MASK = "mask"


def _asked_at(spec: ContainerSpec, path: str, kind: str, defaults: tuple[str, ...]) -> Where | None:
    """The last line that added a path of this kind, or changed the list; a default path has none."""
    if path in defaults:
        return None
    return spec.sources.get(f"filesystem.add_{kind}_path") or spec.sources.get(f"filesystem.{kind}_paths")


class MaskPath(Step):
    """Hide what is at a path; nothing there is fine."""

    __slots__ = ("path",)

    def __init__(self, path: str, spec: ContainerSpec) -> None:
        super().__init__(CHILD, _asked_at(spec, path, "masked", DEFAULT_MASKED_PATHS))
        self.path = path

    def describe(self) -> str:
        return f'mask "{self.path}"'

    def execute(self, site: Site) -> None:
        try:
            target_fd = _open_target(site, self.path)
        except FileNotFoundError:
            return
        cover_fd = _cover_directory(site) if is_directory(target_fd) else _clone_null()
        move_mount(cover_fd, "", target_fd, "", _ONTO_FD)
        os.close(target_fd)
        if site.trees.get(_SHARED_MASK) != cover_fd:
            os.close(cover_fd)


def _open_target(site: Site, path: str) -> int:
    """Open what is to be covered: in procfs and sysfs from the mount itself, wherever links in the root have led it."""
    wanted = os.path.normpath(path)
    for destination, mount_fd in reversed(site.kernel_mounts):
        folder = os.path.normpath(destination)
        if wanted == folder or wanted.startswith(f"{folder}/"):
            return open_inside(mount_fd, wanted[len(folder) :] or "/")
    return open_inside(site.root_fd, path)


def _cover_directory(site: Site) -> int:
    """The empty read-only tmpfs: made once, then cloned from where it was attached first."""
    first = site.trees.get(_SHARED_MASK)
    if first is not None:
        return open_tree(first, "", _COPY | AT.EMPTY_PATH)
    options = parse_options("ro,nosuid,nodev,noexec,size=4k,nr_inodes=1,mode=555")
    site.trees[_SHARED_MASK] = fd = make_filesystem("tmpfs", "mask", options)
    return fd


def _clone_null() -> int:
    fd = open_tree(AT_FDCWD, "/dev/null", _COPY)
    status = os.fstat(fd)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _DEV_NULL:
        raise ContainerError("cannot mask a file", why='"/dev/null" of the host is not the null device')
    # Read-only, or a chmod inside would change the host's node; a device can be written to all the same.
    mount_setattr(fd, "", AT.EMPTY_PATH, attr_set=_MASK_ATTRIBUTES, propagation=MS.PRIVATE)
    return fd


class MakePathReadonly(Step):
    """Bind a path onto itself read-only, with what is mounted below; nothing there is fine."""

    __slots__ = ("path",)

    def __init__(self, path: str, spec: ContainerSpec) -> None:
        super().__init__(CHILD, _asked_at(spec, path, "readonly", DEFAULT_READONLY_PATHS))
        self.path = path

    def describe(self) -> str:
        return f'make "{self.path}" read-only'

    def execute(self, site: Site) -> None:
        try:
            target_fd = _open_target(site, self.path)
        except FileNotFoundError:
            return
        copy_fd = open_tree(target_fd, "", _COPY | AT.EMPTY_PATH | AT.RECURSIVE)
        below = AT.EMPTY_PATH | AT.RECURSIVE
        mount_setattr(copy_fd, "", below, attr_set=MOUNT_ATTR.RDONLY, propagation=MS.PRIVATE)
        move_mount(copy_fd, "", target_fd, "", _ONTO_FD)
        os.close(copy_fd)
        os.close(target_fd)


def plan(spec: ContainerSpec) -> list[Step]:
    """Steps for all masked and read-only paths; none without a root of the container's own."""
    if spec.rootfs is None:
        return []
    steps: list[Step] = [MakePathReadonly(path, spec) for path in spec.readonly_paths]
    return steps + [MaskPath(path, spec) for path in spec.masked_paths]
