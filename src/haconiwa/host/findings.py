"""What this machine offers to containers, point by point, and what to change where something is missing."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import HostError, describe_errno
from haconiwa.host.cgroups import cgroup_layout, hierarchies
from haconiwa.host.finding import Finding
from haconiwa.host.probes import NO_FD, SYSTEM_CALLS, attempt, exists, read_text
from haconiwa.host.tools import find_program
from haconiwa.host.user_findings import look_as_user
from haconiwa.kernel import syscalls
from haconiwa.kernel.bpf import BPF_PROG_TYPE, bpf_prog_load
from haconiwa.kernel.capabilities import capget, full_mask, to_names
from haconiwa.kernel.landlock import NET_VERSION, landlock_version
from haconiwa.kernel.mount import AT_FDCWD, MOUNT_ATTR, fsconfig_create, fsmount, fsopen, mount_setattr
from haconiwa.kernel.namespaces import CLONE, unshare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.host.cgroups import Hierarchy


NAMESPACES = {
    "mount": CLONE.NEWNS, "ipc": CLONE.NEWIPC, "uts": CLONE.NEWUTS, "pid": CLONE.NEWPID, "net": CLONE.NEWNET,
    "user": CLONE.NEWUSER, "cgroup": CLONE.NEWCGROUP, "time": CLONE.NEWTIME,
}  # fmt: skip
_FILES = {"mount": "mnt"}
_OF_EVERY_CONTAINER = ("mount", "ipc", "uts", "pid")

FILE_SYSTEMS = {
    "tmpfs": "CONFIG_TMPFS", "proc": "CONFIG_PROC_FS", "devpts": "CONFIG_UNIX98_PTYS", "sysfs": "CONFIG_SYSFS",
    "mqueue": "CONFIG_POSIX_MQUEUE", "overlay": "CONFIG_OVERLAY_FS, or modprobe overlay",
    "squashfs": "CONFIG_SQUASHFS, or modprobe squashfs",
}  # fmt: skip
"""By the name that mounts them: what brings each into a kernel."""
_NEEDED_FILE_SYSTEMS = ("tmpfs", "proc", "devpts", "sysfs")

PROGRAMS = {
    "tar": "strategy tarball, archives", "xz": "strategy tarball, .xz", "zstd": "strategy tarball, .zst",
    "git": "strategy git", "debootstrap": "strategy debootstrap", "mmdebstrap": "strategy debootstrap, its tool",
    "lxc-create": "strategy lxc", "skopeo": "strategy oci", "ip": "networks",
    "nft": "networks: NAT and published ports", "tc": "networks: upload and download",
    "mksquashfs": "archives of type squashfs", "newuidmap": "id maps of ordinary users",
    "newgidmap": "id maps of ordinary users", "apparmor_parser": "loading AppArmor profiles",
}  # fmt: skip
"""Programs that may be called, and what for."""

_ALLOW_ALL = bytes.fromhex("b700000001000000 9500000000000000")  # r0 = 1; exit


def look() -> list[Finding]:
    """Everything, in the order in which it is shown."""
    parts = (_kernel, _privileges, _namespaces, _file_systems, _cgroups, _security, _ids, look_as_user, _programs)
    return [finding for part in parts for finding in part()]


def _kernel() -> Iterator[Finding]:
    machine = syscalls.machine()
    known = " ".join(syscalls.NUMBERS)
    yield _needed("kernel", f"machine {machine}", machine in syscalls.NUMBERS, change=f"haconiwa runs on {known}")
    for name, (version, call) in SYSTEM_CALLS.items():
        change = f"boot Linux {version} or later; inside another container its seccomp filter may hide the call"
        yield _needed("kernel", name, exists(call), detail=os.uname().release, change=change)


def _privileges() -> Iterator[Finding]:
    root = os.geteuid() == 0
    change = "as it is, containers need a user namespace, see below; root can do all that is asked for here"
    detail = "" if root else f"uid {os.geteuid()}"
    yield Finding(group="privileges", name="root", ok=root, detail=detail, change=change)
    if not root:
        return
    missing = to_names(full_mask() & ~capget()[1])
    detail = f"without {' '.join(missing)}" if missing else "all of this kernel"
    change = (
        "what is missing can be given to no container; sys_resource raises limits, sys_admin and setpcap are needed"
    )
    yield Finding(group="privileges", name="capabilities", ok=not missing, detail=detail, change=change)


def _namespaces() -> Iterator[Finding]:
    for name, flag in NAMESPACES.items():
        # An ordinary user gets the others only inside a user namespace.
        flags = flag if os.geteuid() == 0 or name == "user" else flag | CLONE.NEWUSER
        number = attempt(lambda flags=flags: unshare(flags))  # type: ignore[misc]
        yield Finding(
            group="namespaces",
            name=name,
            ok=not number,
            needed=name in _OF_EVERY_CONTAINER or (name == "user" and os.geteuid() != 0),
            detail=_limit(name) if not number else describe_errno(number),
            change=_namespace_change(name, number),
        )


def _limit(name: str) -> str:
    limit = read_text(f"/proc/sys/user/max_{_FILES.get(name, name)}_namespaces")
    return f"at most {limit}" if limit else ""


def _namespace_change(name: str, number: int) -> str:
    if number == errno.ENOSPC:
        return f"sysctl user.max_{_FILES.get(name, name)}_namespaces=10000"
    if number == errno.EINVAL:
        return "a kernel with CONFIG_CGROUPS" if name == "cgroup" else f"a kernel with CONFIG_{name.upper()}_NS"
    for knob, good in (
        ("kernel/unprivileged_userns_clone", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0"),
    ):
        if read_text(f"/proc/sys/{knob}") not in ("", good):
            return f"sysctl {knob.replace('/', '.')}={good}, or run as root"
    return "run as root; inside another container that one must allow it" if number else ""


def _file_systems() -> Iterator[Finding]:
    registered = {line.split()[-1] for line in read_text("/proc/filesystems").splitlines()}
    for name, change in FILE_SYSTEMS.items():
        # As root the kernel loads a module when it is asked for the file system.
        ok = name in registered or not attempt(lambda name=name: fsopen(name))  # type: ignore[misc]
        needed = name in _NEEDED_FILE_SYSTEMS
        yield Finding(group="file systems", name=name, ok=ok, needed=needed, change=f"a kernel with {change}")
    if os.geteuid() == 0:
        number = attempt(_mount_tmpfs)
        detail = describe_errno(number) if number else ""
        change = "inside another container that one must allow mounts"
        yield _needed("file systems", "mounting", not number, detail=detail, change=change)
    ok = attempt(_idmap_mount) == errno.EBADF  # the kernel knows the request, and there is no such user namespace
    yield Finding(group="file systems", name="id-mapped mounts", ok=ok, change="boot Linux 5.12 or later")


def _mount_tmpfs() -> None:
    unshare(CLONE.NEWNS)
    fs_fd = fsopen("tmpfs")
    fsconfig_create(fs_fd)
    fsmount(fs_fd)


def _idmap_mount() -> None:
    if os.geteuid():
        unshare(CLONE.NEWUSER | CLONE.NEWNS)
    mount_setattr(AT_FDCWD, "/", attr_set=MOUNT_ATTR.IDMAP, userns_fd=NO_FD)


def _cgroups() -> Iterator[Finding]:
    found = hierarchies()
    layout = cgroup_layout(found)
    change = "mount cgroup2 on /sys/fs/cgroup"
    needed = os.geteuid() == 0
    yield Finding(group="cgroups", name=f"layout {layout}", ok=bool(found), needed=needed, change=change)
    available = {name: hierarchy for hierarchy in found for name in _controllers(hierarchy)}
    for name in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb"):
        hierarchy = available.get(name) or (available.get("blkio") if name == "io" else None)
        where = f"v{hierarchy.version} at {hierarchy.mount_point}" if hierarchy else ""
        change = "enable it with cgroup_enable= at boot, or in the parent's cgroup.subtree_control"
        yield Finding(group="cgroups", name=name, ok=hierarchy is not None, detail=where, change=change)
    if os.geteuid() == 0:
        yield _device_control(available)
        for hierarchy in found:
            yield _making_groups(hierarchy)


def _controllers(hierarchy: Hierarchy) -> tuple[str, ...]:
    if hierarchy.version == 1:
        return hierarchy.controllers
    return tuple(read_text(f"{hierarchy.mount_point}/cgroup.controllers").split())


def _device_control(available: dict[str, Hierarchy]) -> Finding:
    """Whether a group can be kept from opening devices: a controller of v1, on v2 a program."""
    if "devices" in available:
        where = f"v1 at {available['devices'].mount_point}"
        return Finding(group="cgroups", name="devices", ok=True, detail=where)
    number = attempt(lambda: bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, _ALLOW_ALL, "Apache-2.0"))
    detail = describe_errno(number) if number else "programs of v2"
    change = "a kernel with CONFIG_CGROUP_BPF, and CAP_BPF or CAP_SYS_ADMIN"
    return Finding(group="cgroups", name="devices", ok=not number, detail=detail, change=change)


def _making_groups(hierarchy: Hierarchy) -> Finding:
    """Whether a group can be made there; it is removed at once."""
    path = f"{hierarchy.mount_point}/haconiwa-check-{os.getpid()}"
    try:
        os.mkdir(path)
        os.rmdir(path)
        number = 0
    except OSError as error:
        number = error.errno or 0
    return _needed(
        "cgroups",
        f"groups below {hierarchy.mount_point}",
        not number,
        detail=describe_errno(number) if number else "",
        change="mount it writable, or delegate the group this runs in: systemd-run -p Delegate=yes",
    )


def _security() -> Iterator[Finding]:
    actions = read_text("/proc/sys/kernel/seccomp/actions_avail")
    change = "a kernel with CONFIG_SECCOMP_FILTER"
    yield Finding(group="security", name="seccomp", ok=bool(actions), detail=actions, change=change)
    enabled = read_text("/sys/module/apparmor/parameters/enabled") == "Y"
    change = "boot with apparmor=1 security=apparmor"
    yield Finding(group="security", name="AppArmor", ok=enabled, change=change)
    selinux = read_text("/sys/fs/selinux/enforce")
    detail = {"1": "enforcing", "0": "permissive"}.get(selinux, "")
    change = "boot with selinux=1 security=selinux and a policy"
    yield Finding(group="security", name="SELinux", ok=bool(selinux), detail=detail, change=change)
    yield _landlock()


def _landlock() -> Finding:
    try:
        version = landlock_version()
    except OSError as error:
        built_in = error.errno == errno.EOPNOTSUPP
        change = "add landlock to lsm= of the boot parameters" if built_in else "boot Linux 5.13 or later with it"
        return Finding(group="security", name="Landlock", ok=False, detail=error.strerror or "", change=change)
    detail = f"version {version}{'' if version >= NET_VERSION else ', no ports'}"
    return Finding(group="security", name="Landlock", ok=True, detail=detail)


def _ids() -> Iterator[Finding]:
    user = _user_name()
    for file in ("/etc/subuid", "/etc/subgid"):
        lines = (line.split(":") for line in read_text(file).splitlines())
        own = [line for line in lines if len(line) == 3 and line[0] in (user, str(os.getuid()))]
        detail = ", ".join(f"{size} ids from {first}" for _name, first, size in own)
        change = f"usermod --add-{os.path.basename(file)}s 100000-165535 {user}"
        yield Finding(group="ids", name=f"{user} in {file}", ok=bool(own), detail=detail, change=change)


def _user_name() -> str:
    uid = str(os.getuid())
    accounts = (line.split(":") for line in read_text("/etc/passwd").splitlines())
    return next((account[0] for account in accounts if account[2:3] == [uid]), uid)


def _programs() -> Iterator[Finding]:
    for name, purpose in PROGRAMS.items():
        try:
            path, change = find_program(name), ""
        except HostError as error:
            path, change = "", error.hint
        yield Finding(group="programs", name=name, ok=bool(path), detail=path or purpose, change=change)


def _needed(group: str, name: str, ok: bool, *, detail: str = "", change: str = "") -> Finding:
    return Finding(group=group, name=name, ok=ok, needed=True, detail=detail, change=change)
