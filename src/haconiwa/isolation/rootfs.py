"""The container's root: opened on the host, attached in the container's mount namespace, entered last.

The tree is cloned as a detached mount by the supervisor, so that a root below a folder only root may enter works in a
user namespace too, and made private at once, so that no mount travels between host and container.
See: open_tree(2), move_mount(2), pivot_root(2).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError
from haconiwa.host.root_place import is_being_changed, root_fault
from haconiwa.isolation.step import CHILD, INSIDE, SUPERVISOR, Site, Step
from haconiwa.isolation.trees import AT_FDCWD, clone_tree
from haconiwa.kernel.mount import MNT, MOUNT_ATTR, MOVE_MOUNT, MS, mount, move_mount, pivot_root, umount2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, RootfsSpec


class CheckRootfs(Step):
    """See that the root file system is the one that was made, and that nobody is at work on it."""

    __slots__ = ("rootfs",)

    def __init__(self, rootfs: RootfsSpec) -> None:
        super().__init__(SUPERVISOR, rootfs.where)
        self.rootfs = rootfs

    def describe(self) -> str:
        return f'use the root file system "{self.rootfs.path}"'

    def execute(self, site: Site) -> None:
        what = f"cannot {self.describe()}"
        if fault := root_fault(self.rootfs.path, self.rootfs.trusted_uids):
            why, mend = fault
            raise ContainerError(what, why=f"{why}, who could lead this elsewhere", hint=mend, where=self.where)
        if is_being_changed(self.rootfs.path):
            why = "another haconiwa is making, changing or removing it"
            raise ContainerError(what, why=why, hint="start it once that has come to its end", where=self.where)


class OpenRootfs(Step):
    """Clone the root file system as a detached mount."""

    __slots__ = ("rootfs",)

    def __init__(self, rootfs: RootfsSpec, place: str = SUPERVISOR) -> None:
        super().__init__(place, rootfs.where)
        self.rootfs = rootfs

    def describe(self) -> str:
        return f'open the root file system "{self.rootfs.path}"{" read-only" if self.rootfs.readonly else ""}'

    def require_directory(self) -> None:
        """Say what to do when there is no root file system.

        Raises:
            ContainerError: There is none.
        """
        if not os.path.isdir(self.rootfs.path):
            missing = not os.path.lexists(self.rootfs.path)
            raise ContainerError(
                f"cannot {self.describe()}",
                why="it does not exist" if missing else "it is not a directory",
                hint="run haconiwa create with the haco file first" if missing else "",
                where=self.where,
            )

    def execute(self, site: Site) -> None:
        self.require_directory()
        attributes = MOUNT_ATTR.NODEV
        if self.rootfs.readonly:
            attributes |= MOUNT_ATTR.RDONLY
        site.trees["rootfs"] = fd = clone_tree(self.rootfs.path, recursive=True, attributes=attributes)
        if "user" in site.spec.namespaces and self.rootfs.idmap is not False:
            from haconiwa.isolation.idmap import map_root

            map_root(fd, site)


class DetachPropagation(Step):
    """Let no mount made from here on reach the host."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "make all mounts private"

    def execute(self, site: Site) -> None:
        mount(None, "/", None, MS.REC | MS.PRIVATE, None)


class AttachRootfs(Step):
    """Attach the root where it lies on the host, so that its mounts show below the path that hooks know.

    Where that path cannot be reached, as below a folder of the host's root in a user namespace, it is attached over
    "/": out of the way of every path but those with ".." that climb above the root.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        super().__init__(CHILD)
        self.path = path

    def describe(self) -> str:
        return "attach the root file system"

    def execute(self, site: Site) -> None:
        site.root_fd = site.trees["rootfs"]
        try:
            target_fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            move_mount(site.root_fd, "", AT_FDCWD, "/", MOVE_MOUNT.F_EMPTY_PATH)
            return
        try:
            move_mount(site.root_fd, "", target_fd, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH)
        finally:
            os.close(target_fd)


class UseHostRoot(Step):
    """Take the host's root as the container's: no root file system was asked for."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "use the host's root"

    def execute(self, site: Site) -> None:
        site.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class PivotRoot(Step):
    """Make the container's root the root, and let go of the host's."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "pivot into the root file system"

    def execute(self, site: Site) -> None:
        os.fchdir(site.root_fd)
        pivot_root(".", ".")  # the old root now lies over the new one, see pivot_root(2), NOTES
        umount2(".", MNT.DETACH)
        os.chdir("/")


class LegacyChroot(Step):
    """Enter the root by chroot(2), which leaves the host's mounts in the namespace."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "chroot into the root file system"

    def execute(self, site: Site) -> None:
        os.fchdir(site.root_fd)
        os.chroot(".")
        os.chdir("/")


class ChangeDirectory(Step):
    """Start the program in its working directory, reached with the program's own rights."""

    __slots__ = ("path",)

    def __init__(self, path: str, spec: ContainerSpec) -> None:
        super().__init__(INSIDE, spec.sources.get("workdir"))
        self.path = path

    def describe(self) -> str:
        return f'change to the directory "{self.path}"'

    def hint(self, number: int) -> str:
        return "the root file system must have it, and the program's user be allowed into it"

    def execute(self, site: Site) -> None:
        os.chdir(self.path)
        # A path through /proc/self/fd could lead back to the host: see getcwd(3), "(unreachable)".
        if not os.getcwd().startswith("/"):
            raise OSError(errno.EXDEV, "it lies outside the root")


def plan_opening(spec: ContainerSpec) -> list[Step]:
    """The step on the host's side, or an ordinary user's child's."""
    if spec.rootfs and spec.rootfs.overlay:
        from haconiwa.isolation import overlay

        return [*overlay.plan_opening(spec, spec.rootfs)]
    return [OpenRootfs(spec.rootfs, CHILD if spec.unprivileged else SUPERVISOR)] if spec.rootfs else []


def plan_checking(spec: ContainerSpec) -> list[Step]:
    """The step before anything is made of the root."""
    return [CheckRootfs(spec.rootfs)] if spec.rootfs else []


def plan_attaching(spec: ContainerSpec) -> list[Step]:
    """The child's first steps in its mount namespace."""
    steps: list[Step] = [DetachPropagation()] if "mount" in spec.namespaces else []
    if spec.rootfs and spec.rootfs.overlay and spec.unprivileged:
        from haconiwa.isolation import overlay

        steps += overlay.plan_by_user(spec, spec.rootfs)
    return [*steps, AttachRootfs(spec.rootfs.path) if spec.rootfs else UseHostRoot()]


def plan_entering(spec: ContainerSpec) -> list[Step]:
    """The step after which the host's files are out of reach."""
    if not spec.rootfs:
        return []
    return [LegacyChroot() if spec.rootfs.use_legacy_chroot else PivotRoot()]


def plan_workdir(spec: ContainerSpec) -> list[Step]:
    """The step once the program's ids and capabilities are set."""
    return [ChangeDirectory(spec.workdir, spec)]
