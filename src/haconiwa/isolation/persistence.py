"""Namespaces that are kept when their container has ended: their files are mounted on paths of the host.

A start that fails takes them away again. Once the program runs they are the user's, who removes them with
``haconiwa rm --namespaces``, or ``ip netns delete`` for one below /run/netns.
"""

from __future__ import annotations

import errno
import os
import stat

from haconiwa.errors import ContainerError
from haconiwa.isolation.namespaces import PROC_NAMES
from haconiwa.isolation.step import PARENT, RUNNING, SUPERVISOR, Site, Step
from haconiwa.kernel.files import NSFS_MAGIC, fstatfs
from haconiwa.kernel.mount import MNT, MS, mount, umount2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.confinement import PersistedNamespace
    from haconiwa.spec.model import ContainerSpec


class MakeTarget(Step):
    """Make the empty file that the namespace's file is mounted on. What is there already is not touched."""

    __slots__ = ("kept", "made")

    def __init__(self, kept: PersistedNamespace) -> None:
        super().__init__(SUPERVISOR, kept.where)
        self.kept = kept
        self.made = False

    def describe(self) -> str:
        return f'make "{self.kept.path}" to keep the {self.kept.type} namespace'

    def execute(self, site: Site) -> None:
        os.makedirs(os.path.dirname(self.kept.path), exist_ok=True)
        if os.path.lexists(self.kept.path):
            self._check()
        else:
            flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(self.kept.path, flags, 0o444))
            self.made = True

    def _check(self) -> None:
        if holds_namespace(self.kept.path):
            raise ContainerError(
                f"cannot {self.describe()}",
                why="a namespace is kept there already",
                hint=f'enter it with namespace.enter("{self.kept.type}", …), or remove it: haconiwa rm --namespaces',
                where=self.where,
            )
        status = os.stat(self.kept.path, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_size:
            why = "there is something else than an empty file"
            raise ContainerError(f"cannot {self.describe()}", why=why, where=self.where)

    def undo(self, site: Site) -> None:
        if self.made and not site.program_ran:
            remove_kept(self.kept.path)


class KeepNamespace(Step):
    """Mount the file of the new namespace."""

    __slots__ = ("kept", "mounted")

    def __init__(self, kept: PersistedNamespace) -> None:
        super().__init__(PARENT, kept.where)
        self.kept = kept
        self.mounted = False

    def describe(self) -> str:
        return f'keep the {self.kept.type} namespace at "{self.kept.path}"'

    def execute(self, site: Site) -> None:
        name = PROC_NAMES.get(self.kept.type, self.kept.type)
        mount(f"/proc/{site.child_pid}/ns/{name}", self.kept.path, None, MS.BIND)
        self.mounted = True

    def undo(self, site: Site) -> None:
        if self.mounted and not site.program_ran:
            umount2(self.kept.path, MNT.DETACH | MNT.UMOUNT_NOFOLLOW)

    def hint(self, number: int) -> str:
        if number == errno.EINVAL and self.kept.type == "mount":
            return "the folder must lie on a private mount: mount --bind DIR DIR, mount --make-private DIR"
        return ""


class LeaveToUser(Step):
    """From now on they stay."""

    def __init__(self) -> None:
        super().__init__(RUNNING)

    def describe(self) -> str:
        return "leave the kept namespaces to the user"

    def execute(self, site: Site) -> None:
        site.program_ran = True


def holds_namespace(path: str) -> bool:
    """Whether a namespace's file is mounted on a host path; links are not followed."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return fstatfs(fd) == NSFS_MAGIC
    finally:
        os.close(fd)


def remove_kept(path: str) -> bool:
    """Unmount and remove a kept namespace, or the empty file it was to be mounted on. Nothing else is touched.

    Returns:
        Whether there was one.
    """
    found = holds_namespace(path)
    if found:
        umount2(path, MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return found
    if stat.S_ISREG(status.st_mode) and not status.st_size and not holds_namespace(path):
        os.unlink(path)
    return found


def plan(spec: ContainerSpec) -> list[Step]:
    """The steps around the clone, and one for when the program runs."""
    kept = spec.persisted_namespaces
    return [*map(MakeTarget, kept), *map(KeepNamespace, kept), LeaveToUser()]
