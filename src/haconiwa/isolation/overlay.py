"""A root file system that is not changed: the container's own layer lies over it.

The kernel's overlay file system is made on the host's side, or by an ordinary user's child in its namespaces.
Directories are named by descriptors, whatever is in their paths. Renames of directories of the root and changes of
modes copy: the layer alone always says what has changed.
See: the kernel's overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ConfigError, ContainerError, HostError, Problem
from haconiwa.host.layers import layer_folder, layers_folder, lower_of, make_layer, upper_of
from haconiwa.host.root_place import strange_owner
from haconiwa.host.tree import remove_tree
from haconiwa.isolation.idmap import is_mapped
from haconiwa.isolation.mount_options import MountOptions
from haconiwa.isolation.own_namespace import work_as_owner
from haconiwa.isolation.rootfs import OpenRootfs
from haconiwa.isolation.step import CHILD, SUPERVISOR, Site, Step
from haconiwa.isolation.trees import make_filesystem
from haconiwa.kernel.mount import MOUNT_ATTR, MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, RootfsSpec

_PLAIN = (("redirect_dir", "nofollow"), ("index", "off"), ("metacopy", "off"))
_BY_USER = (("userxattr", None),)


class MakeLayer(OpenRootfs):
    """Make the folders of the container's own layer, where they are not there yet."""

    __slots__ = ("folder", "spec")

    def __init__(self, spec: ContainerSpec, rootfs: RootfsSpec) -> None:
        super().__init__(rootfs)
        self.spec = spec
        self.folder = layer_folder(rootfs.path, spec.name, ephemeral=rootfs.ephemeral)

    def describe(self) -> str:
        kind = "a layer that is thrown away" if self.rootfs.ephemeral else "the container's own layer"
        return f'make {kind} over "{self.rootfs.path}"'

    def execute(self, site: Site) -> None:
        self.require_directory()
        self._require_base()
        work_as_owner(self._make, self.spec)
        self._warn_of_strange_owner(site)

    def _make(self) -> None:
        if self.rootfs.ephemeral:
            remove_tree(self.folder)  # of a container whose supervisor was killed
        layers = layers_folder(self.rootfs.path)
        os.makedirs(layers, 0o700, exist_ok=True)
        if why := strange_owner(layers, self.rootfs.trusted_uids):
            raise PermissionError(errno.EPERM, why)
        make_layer(self.folder, self.rootfs.path)

    def _require_base(self) -> None:
        base = lower_of(self.rootfs.path)
        if not os.path.isdir(base):
            what, why = f"cannot {self.describe()}", f'it lies over "{base}", and that is gone'
            raise ContainerError(what, why=why, hint="haconiwa create --force makes it anew", where=self.where)

    def _warn_of_strange_owner(self, site: Site) -> None:
        """Say so when the owners mean nothing inside: kernels before 6.15 lay no layer over a mapped mount of ours."""
        spec = site.spec
        owner = os.stat(self.rootfs.path).st_uid
        if "user" in spec.namespaces and self.rootfs.idmap is None and not is_mapped(owner, spec.uid_mappings):
            failure = HostError(
                f'the files of "{self.rootfs.path}" belong to nobody in the container',
                why=f"the host's user {owner} is not mapped, and below a layer owners cannot be translated",
                hint="give the files to the mapped ids, or do without rootfs.overlay and --ephemeral",
                where=self.where,
                subject=spec.name,
            )
            site.report(failure)

    def undo(self, site: Site) -> None:
        if self.rootfs.ephemeral:
            remove_layer(self.folder)


class OpenOverlay(OpenRootfs):
    """Lay the container's own layer over the root file system, as a detached mount."""

    __slots__ = ("folder",)

    def __init__(self, spec: ContainerSpec, rootfs: RootfsSpec, place: str = SUPERVISOR) -> None:
        super().__init__(rootfs, place)
        self.folder = layer_folder(rootfs.path, spec.name, ephemeral=rootfs.ephemeral)

    def describe(self) -> str:
        kind = "a layer that is thrown away" if self.rootfs.ephemeral else "a layer of its own"
        return f'open the root file system "{self.rootfs.path}" with {kind}'

    def execute(self, site: Site) -> None:
        attributes = MOUNT_ATTR.NODEV | (MOUNT_ATTR.RDONLY if self.rootfs.readonly else 0)
        tree_fd = mount_overlay(self.rootfs.path, self.folder, attributes, by_user=site.spec.unprivileged)
        site.trees["rootfs"] = tree_fd

    def hint(self, number: int) -> str:
        if self.place == CHILD and number in (errno.EPERM, errno.EINVAL):
            return "as an ordinary user it takes Linux 5.11, and a local file system with extended attributes of users"
        return ""

    def undo(self, site: Site) -> None:
        """Let go of what is removed next."""
        fd = site.trees.pop("rootfs", -1)
        if fd >= 0:
            os.close(fd)


class TakeLayer(Step):
    """Take over the layer of an earlier supervisor's that is thrown away when the container ends.

    Args:
        folder: Of the layer.
    """

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        super().__init__(SUPERVISOR)
        self.folder = folder

    def describe(self) -> str:
        return f'take over the layer "{self.folder}"'

    def execute(self, site: Site) -> None:
        """It is mounted in the container already."""

    def undo(self, site: Site) -> None:
        remove_layer(self.folder)


def remove_layer(folder: str) -> None:
    """Remove the folders of a layer, which has files of the ids in its container.

    Raises:
        HostError: An ordinary user could not become their owner.
        OSError: They cannot be removed.
    """
    work_as_owner(lambda: remove_tree(folder))


def mount_overlay(root: str, folder: str, attributes: int, *, by_user: bool) -> int:
    """A detached mount of a root with a layer over it.

    Args:
        root: Host path; one that lies over another itself shows the files of that.
        folder: Of the layer.
        attributes: Of the mount.
        by_user: In a user namespace of an ordinary user's, who may set extended attributes of users only.
    """
    paths = {"lowerdir": lower_of(root), "upperdir": upper_of(folder), "workdir": os.path.join(folder, "work")}
    fds = {key: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for key, path in paths.items()}
    try:
        shown = tuple((key, f"/proc/self/fd/{fd}") for key, fd in fds.items())
        parameters = shown + _PLAIN + (_BY_USER if by_user else ())
        options = MountOptions(attributes=attributes, cleared=0, propagation=MS.PRIVATE, parameters=parameters)
        return make_filesystem("overlay", "haconiwa", options)
    finally:
        for fd in fds.values():
            os.close(fd)


def plan_opening(spec: ContainerSpec, rootfs: RootfsSpec) -> list[Step]:
    """The steps on the host's side. An ordinary user's mount is made later, by root of its user namespace.

    Raises:
        ConfigError: Its files shall also show with other owners.
    """
    if rootfs.idmap:
        what = f"{spec.name}: rootfs.idmap: not possible below a layer (rootfs.overlay, --ephemeral)"
        raise ConfigError(Problem(what, rootfs.where, "give the files to the mapped ids"))
    return [MakeLayer(spec, rootfs), *([] if spec.unprivileged else [OpenOverlay(spec, rootfs)])]


def plan_by_user(spec: ContainerSpec, rootfs: RootfsSpec) -> list[Step]:
    """An ordinary user's child's step in its mount namespace."""
    return [OpenOverlay(spec, rootfs, CHILD)]
