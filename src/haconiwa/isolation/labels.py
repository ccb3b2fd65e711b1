"""The label that a security module confines the container's program by: an AppArmor profile or an SELinux context.

It is asked for beforehand and takes effect with the exec, which fails when the label cannot be had.
See: apparmor(7), selinux(8), proc_pid_attr(5).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError, HostError
from haconiwa.isolation.own_procfs import KEY, OpenProcfs
from haconiwa.isolation.step import CHILD, INSIDE, SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where
    from haconiwa.spec.model import ContainerSpec

APPARMOR_ENABLED = "/sys/module/apparmor/parameters/enabled"
APPARMOR_PROFILES = "/sys/kernel/security/apparmor/profiles"
SELINUX_CONTEXT = "/sys/fs/selinux/context"
_UNCONFINED = "unconfined"
_ATTRIBUTE = "label attribute"
_LABEL_MAX = 4096


class CheckAppArmor(Step):
    """Refuse a profile that cannot be had, before anything is made."""

    __slots__ = ("profile",)

    def __init__(self, profile: str, where: Where | None) -> None:
        super().__init__(SUPERVISOR, where)
        self.profile = profile

    def describe(self) -> str:
        return f'find the AppArmor profile "{self.profile}"'

    def execute(self, site: Site) -> None:
        if _content(APPARMOR_ENABLED) != "Y":
            raise HostError(
                f"cannot {self.describe()}",
                why="AppArmor is not active on this host",
                hint="boot with apparmor=1 security=apparmor, or leave apparmor out",
            )
        loaded = _content(APPARMOR_PROFILES)
        if loaded is None or not _is_plain(self.profile) or self.profile == _UNCONFINED:
            return  # the kernel has the last word in any case
        if self.profile not in (line.rpartition(" (")[0] for line in loaded.splitlines()):
            raise HostError(
                f"cannot {self.describe()}",
                why="it is not loaded",
                hint="load it with apparmor_parser -r FILE; aa-status lists those that are",
            )


class CheckSelinux(Step):
    """Refuse a context that the policy does not know, before anything is made."""

    __slots__ = ("context",)

    def __init__(self, context: str, where: Where | None) -> None:
        super().__init__(SUPERVISOR, where)
        self.context = context

    def describe(self) -> str:
        return f'find the SELinux context "{self.context}"'

    def execute(self, site: Site) -> None:
        try:
            fd = os.open(SELINUX_CONTEXT, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise HostError(
                f"cannot {self.describe()}",
                why="SELinux is not active on this host",
                hint="boot with selinux=1 security=selinux and a policy, or leave selinux_context out",
            ) from None
        try:
            os.write(fd, self.context.encode())
        finally:
            os.close(fd)

    def hint(self, number: int) -> str:
        return "the loaded policy has no such context" if number == errno.EINVAL else ""


class OpenLabel(Step):
    """Open where the process asks for its label: only itself may write there, and /proc inside may be anything."""

    __slots__ = ("paths",)

    def __init__(self, *paths: str) -> None:
        super().__init__(CHILD)
        self.paths = paths

    def describe(self) -> str:
        return f"open {self.paths[0]}"

    def execute(self, site: Site) -> None:
        for path in self.paths:
            try:
                fd = os.open(f"thread-self/{path}", os.O_RDWR | os.O_CLOEXEC, dir_fd=site.trees[KEY])
            except FileNotFoundError:
                continue  # before Linux 5.1 there is one file for all modules
            site.trees[_ATTRIBUTE] = fd
            return
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


class SetLabel(Step):
    """Ask for the label that the program gets with the exec, and read the request back."""

    __slots__ = ("label", "word")

    def __init__(self, label: str, word: str, where: Where | None) -> None:
        super().__init__(INSIDE, where)
        self.label = label
        self.word = word

    def describe(self) -> str:
        return f'give the program the label "{self.label}"'

    def execute(self, site: Site) -> None:
        fd = site.trees[_ATTRIBUTE]
        os.write(fd, (self.word + self.label).encode())
        shown = os.pread(fd, _LABEL_MAX, 0).decode("utf-8", "replace").rstrip("\0\n")
        if shown.endswith(")"):
            shown = shown.rpartition(" (")[0]  # AppArmor adds the mode
        if shown != self.label and (_is_plain(self.label) or not shown):
            raise ContainerError(f"cannot {self.describe()}", why=f'the kernel shows "{shown}"')

    def hint(self, number: int) -> str:
        if number in (errno.EACCES, errno.EPERM):
            return "the label that haconiwa itself runs under does not let it"
        return "the label is not loaded" if number in (errno.ENOENT, errno.EINVAL) else ""


def _is_plain(label: str) -> bool:
    """Whether it is neither a stack of profiles nor in a policy namespace, which the kernel writes in its own way."""
    return "//&" not in label and not label.startswith(":")


def _content(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def plan_opening(spec: ContainerSpec) -> list[Step]:
    """The steps before the container's root is entered."""
    if spec.apparmor is not None:
        check: Step = CheckAppArmor(spec.apparmor, _where(spec))
        return [check, OpenProcfs(), OpenLabel("attr/apparmor/exec", "attr/exec")]
    if spec.selinux_context is not None:
        return [CheckSelinux(spec.selinux_context, _where(spec)), OpenProcfs(), OpenLabel("attr/exec")]
    return []


def plan(spec: ContainerSpec) -> list[Step]:
    """The step shortly before the exec."""
    if spec.apparmor is not None:
        return [SetLabel(spec.apparmor, "exec ", _where(spec))]
    if spec.selinux_context is not None:
        return [SetLabel(spec.selinux_context, "", _where(spec))]
    return []


def _where(spec: ContainerSpec) -> Where | None:
    names = ("apparmor", "apparmor_profile", "selinux_context")
    return next((spec.sources[name] for name in names if name in spec.sources), None)
