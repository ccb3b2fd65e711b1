"""What containers are made of, under one roof: ``from haconiwa.primitives import *``, or a script run by ``hacopy``.

The system calls have the names and arguments of their manual pages. What is composed of several is named by a verb and
a noun, and is defined here.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from os import chdir, chroot, execv, execve, execvp, fork, getpid, setgroups, setresgid, setresuid, setsid, waitpid
from signal import pidfd_send_signal
from typing import TYPE_CHECKING

from haconiwa.host.cgroups import hierarchies
from haconiwa.kernel.capabilities import (
    ambient_clear,
    ambient_raise,
    capbset_drop,
    capbset_read,
    capget,
    capset,
    last_cap,
    to_mask,
    to_names,
)
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.files import CLOSE_RANGE, RESOLVE, close_range, openat2
from haconiwa.kernel.keyctl import join_session_keyring
from haconiwa.kernel.mount import (
    AT,
    AT_FDCWD,
    MNT,
    MOUNT_ATTR,
    MOVE_MOUNT,
    MS,
    OPEN_TREE,
    fsconfig_create,
    fsconfig_set_flag,
    fsconfig_set_string,
    fsmount,
    fsopen,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root,
    umount2,
)
from haconiwa.kernel.names import CAPABILITIES
from haconiwa.kernel.namespaces import CLONE, namespace_type, setns, unshare
from haconiwa.kernel.network import set_interface_up
from haconiwa.kernel.process import (
    clone3,
    set_child_subreaper,
    set_dumpable,
    set_keepcaps,
    set_no_new_privs,
    set_pdeathsig,
)
from haconiwa.kernel.uts import setdomainname, sethostname

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

pidfd_open = os.pidfd_open
getrlimit, setrlimit, prlimit = resource.getrlimit, resource.setrlimit, resource.prlimit

__all__ = [
    "AT", "AT_FDCWD", "CAPABILITIES", "CLONE", "CLOSE_RANGE", "MNT", "MOUNT_ATTR", "MOVE_MOUNT", "MS", "OPEN_TREE",
    "RESOLVE", "SyscallError", "ambient_clear", "ambient_raise", "bind_mount", "capbset_drop", "capbset_read", "capget",
    "capset", "chdir", "chroot", "clone3", "close_range", "enter_root", "execv", "execve", "execvp", "fork",
    "fsconfig_create", "fsconfig_set_flag", "fsconfig_set_string", "fsmount", "fsopen", "getpid", "getrlimit",
    "join_cgroup", "join_session_keyring", "keep_capabilities", "last_cap", "make_private", "map_ids", "mount",
    "mount_setattr", "move_mount", "namespace_type", "open_tree", "openat2", "pidfd_open", "pidfd_send_signal",
    "pivot_root", "prlimit", "remove_cgroup", "run_child", "set_child_subreaper", "set_dumpable", "set_interface_up",
    "set_keepcaps", "set_no_new_privs", "set_pdeathsig", "set_rlimit", "setdomainname", "setgroups", "sethostname",
    "setns", "setresgid", "setresuid", "setrlimit", "setsid", "to_mask", "to_names", "umount2", "unshare", "waitpid",
]  # fmt: skip


def run_child(function: Callable[[], object], flags: int = 0) -> int:
    """Run a function in a child with new namespaces and wait for its end.

    Args:
        function: Runs as the first process of the namespaces; it may become another program with `execv`. An exception
            in it is printed, and is status 1.
        flags: `CLONE`, such as ``CLONE.NEWNS | CLONE.NEWPID``.

    Returns:
        The exit status, 128+n when signal n ended it.

    Raises:
        SyscallError: As `clone3`.
    """
    sys.stdout.flush()
    pid, pidfd = clone3(flags)
    if pid == 0:
        os._exit(_run_function(function))
    os.close(pidfd)
    status = os.waitstatus_to_exitcode(waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def _run_function(function: Callable[[], object]) -> int:
    """Call it, and whatever happens come back, for the caller leaves the process."""
    try:
        function()
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()


def make_private(path: str = "/") -> None:
    """Keep mounts and unmounts at a mount point, and below it, from travelling to or from other namespaces.

    See: mount_namespaces(7)
    """
    mount(None, path, None, MS.REC | MS.PRIVATE)


def bind_mount(source: str, target: str, *, readonly: bool = False, recursive: bool = True) -> None:
    """Show a file or directory at another place, where a file or directory has to be already.

    Args:
        source: What to show.
        target: Where.
        readonly: Nothing can be written there, with `recursive` nor below.
        recursive: Take the mounts below the source along.

    Raises:
        SyscallError: As `mount` and `mount_setattr`.
    """
    mount(source, target, None, MS.BIND | (MS.REC if recursive else 0))
    if readonly:
        mount_setattr(AT_FDCWD, target, AT.RECURSIVE if recursive else 0, attr_set=MOUNT_ATTR.RDONLY)


def enter_root(path: str) -> None:
    """Make a directory the root, with pivot_root(2), and let go of the old one. Only in a mount namespace of one's own.

    What was mounted below the directory before comes along; the new root is the current directory.

    Raises:
        SyscallError: As `pivot_root`; EINVAL also where mounts are shared, see `make_private`.
    """
    bind_mount(path, path)  # a root has to be a mount point
    chdir(path)
    pivot_root(".", ".")
    umount2(".", MNT.DETACH)  # the old root lies on top of the new one
    chdir("/")


def map_ids(pid: int, *, uids: str = "0 0 1", gids: str = "0 0 1") -> None:
    """Write the id maps of a user namespace, from outside or by its first process.

    Args:
        pid: A process in it, or 0 for the caller.
        uids: Lines of "first id inside, first id outside, how many".
        gids: Alike. Without privilege outside, setgroups(2) is given up for it.

    Raises:
        OSError: EPERM (ids that are not the writer's), EINVAL (no such form, overlaps).

    See: user_namespaces(7)
    """
    folder = f"/proc/{pid or 'self'}"
    if not capget()[0] & to_mask(["setgid"]) or not pid:
        _write(f"{folder}/setgroups", "deny")
    _write(f"{folder}/gid_map", gids)
    _write(f"{folder}/uid_map", uids)


def keep_capabilities(*names: str) -> None:
    """Give up all capabilities but these, for good: those of the process, and those it could gain by exec.

    Raises:
        ValueError: A name that is not in `CAPABILITIES`.
        SyscallError: EPERM, without CAP_SETPCAP.

    See: capabilities(7)
    """
    kept = to_mask(names)
    for number in range(last_cap() + 1):
        if not kept >> number & 1:
            capbset_drop(number)
    _, permitted, _ = capget()
    ambient_clear()
    capset(permitted & kept, permitted & kept, 0)


def set_rlimit(name: str, soft: int | Literal["unlimited"], hard: int | Literal["unlimited"] | None = None) -> None:
    """Set a resource limit of this process.

    Args:
        name: As in getrlimit(2), without ``RLIMIT_``.
        soft: The limit in force, in the unit of getrlimit(2).
        hard: How far it may be raised; the same unless given.

    Raises:
        ValueError: No such limit, soft above hard, or above what this process may set.
    """
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if number is None:
        raise ValueError(f"unknown limit {name!r}")
    values = [
        resource.RLIM_INFINITY if value == "unlimited" else value for value in (soft, soft if hard is None else hard)
    ]
    resource.setrlimit(number, (values[0], values[1]))


def join_cgroup(name: str, settings: Mapping[str, str | int] | None = None, pid: int = 0) -> list[str]:
    """Make a control group, set what its files say, and move a process into it.

    Args:
        name: Path of the group below the mount point of a hierarchy.
        settings: Values by file name, such as ``{"pids.max": 100}``, in the words of the host's own version. The
            group is made where their controllers are; without settings in the version 2 hierarchy, else in all.
        pid: The process; 0 for the caller.

    Returns:
        Absolute paths of the groups.

    Raises:
        LookupError: No hierarchy has a controller.
        OSError: The kernel's word on a value, ENOENT for a file that is not there.

    See: cgroups(7)
    """
    wanted = {key.partition(".")[0] for key in settings or ()}
    groups: dict[str, list[str]] = {}
    for controller in wanted:
        groups.setdefault(_hierarchy_of(controller), []).append(controller)
    roots = list(groups) or _default_hierarchies()
    for root in roots:
        group = f"{root}/{name}"
        os.makedirs(group, exist_ok=True)
        _delegate(root, name, groups.get(root, []))
        for key, value in (settings or {}).items():
            if key.partition(".")[0] in groups.get(root, ()):
                _write(f"{group}/{key}", str(value))
        _write(f"{group}/cgroup.procs", str(pid))
    return [f"{root}/{name}" for root in roots]


def remove_cgroup(name: str) -> None:
    """Remove a control group, without processes and groups below, from every hierarchy that has it.

    Raises:
        OSError: EBUSY while somebody is in it.
    """
    for hierarchy in hierarchies():
        try:
            os.rmdir(f"{hierarchy.mount_point}/{name}")
        except FileNotFoundError:
            continue


def _hierarchy_of(controller: str) -> str:
    """The mount point of the hierarchy that has a controller; ``cgroup`` is version 2 itself."""
    for hierarchy in hierarchies():
        if hierarchy.version == 1 and controller in hierarchy.controllers:
            return hierarchy.mount_point
        if hierarchy.version == 2 and (controller == "cgroup" or controller in _offered(hierarchy.mount_point)):
            return hierarchy.mount_point
    raise LookupError(f"no cgroup hierarchy has the controller {controller!r}")


def _offered(mount_point: str) -> list[str]:
    with open(f"{mount_point}/cgroup.controllers", encoding="ascii") as file:
        return file.read().split()


def _delegate(root: str, name: str, controllers: list[str]) -> None:
    """Let the groups above hand the controllers down, which version 1 does by itself."""
    if not os.path.exists(f"{root}/cgroup.subtree_control"):
        return
    words = " ".join(f"+{controller}" for controller in controllers if controller != "cgroup")
    parts = name.strip("/").split("/")
    for depth in range(len(parts) if words else 0):
        _write("/".join([root, *parts[:depth], "cgroup.subtree_control"]), words)


def _default_hierarchies() -> list[str]:
    found = hierarchies()
    return [h.mount_point for h in found if h.version == 2] or [h.mount_point for h in found]


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
