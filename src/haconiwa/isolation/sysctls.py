"""Kernel parameters of the container's own namespaces. See: proc_sys(5), namespaces(7)."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError
from haconiwa.isolation.own_procfs import KEY, OpenProcfs
from haconiwa.isolation.step import CHILD, SUPERVISOR, Site, Step
from haconiwa.spec.sysctls import namespace_of, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.confinement import SysctlSpec
    from haconiwa.spec.model import ContainerSpec

_VALUE_MAX = 65536


class RememberNamespaces(Step):
    """Remember which namespaces are the host's, so that nothing of theirs is changed by a container that joined one."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)
        self.found: dict[str, int] = {}

    def describe(self) -> str:
        return "remember the host's net and ipc namespaces"

    def execute(self, site: Site) -> None:
        self.found.update({kind: _inode(site, kind) for kind in ("net", "ipc")})


class SetSysctl(Step):
    """Write one parameter and read it back, in the container's namespaces but through a procfs of the host's side."""

    __slots__ = ("hosts", "sysctl")

    def __init__(self, sysctl: SysctlSpec, hosts: RememberNamespaces) -> None:
        super().__init__(CHILD, sysctl.where)
        self.sysctl = sysctl
        self.hosts = hosts

    def describe(self) -> str:
        return f'set {self.sysctl.name} to "{self.sysctl.value}"'

    def execute(self, site: Site) -> None:
        kind = namespace_of(self.sysctl.name)
        if _inode(site, kind) == self.hosts.found[kind]:
            raise ContainerError(f"cannot {self.describe()}", why=f"the {kind} namespace that it entered is the host's")
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(f"sys/{path_of(self.sysctl.name)}", flags, dir_fd=site.trees[KEY])
        try:
            os.write(fd, self.sysctl.value.encode())
            shown = os.pread(fd, _VALUE_MAX, 0).decode()
        finally:
            os.close(fd)
        if shown.split() != self.sysctl.value.split():
            raise ContainerError(f"cannot {self.describe()}", why=f'the kernel made "{" ".join(shown.split())}" of it')

    def hint(self, number: int) -> str:
        if number == errno.ENOENT:
            return "this kernel has no such parameter, or only the host has it"
        if number in (errno.EACCES, errno.EPERM):
            return "the kernel lets nobody in a user namespace change it"
        return "it does not take this value" if number in (errno.EINVAL, errno.ERANGE) else ""


def _inode(site: Site, kind: str) -> int:
    return os.stat(f"thread-self/ns/{kind}", dir_fd=site.trees[KEY]).st_ino


def plan(spec: ContainerSpec) -> list[Step]:
    """Steps on both sides, those inside in the file's order."""
    if not spec.sysctls:
        return []
    hosts = RememberNamespaces()
    return [OpenProcfs(), hosts, *(SetSysctl(sysctl, hosts) for sysctl in spec.sysctls)]
