"""Namespaces for the measurement, so that nothing it does is seen outside or stays.

The mount namespace is private and has a /run of its own. The cgroups are confined by a cgroup namespace: what a tool
takes for the root of a hierarchy is a group of ours, and goes with everything below it at the end. A pid namespace ends
what a tool may have left running, and shows LXC, which asks, an init process inside these groups.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x02000000, 0x20000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class _Hierarchy:
    """A mounted cgroup hierarchy.

    Args:
        mount_point: Host path.
        fstype: cgroup or cgroup2.
        options: Those of the file system, comma-separated.
    """

    def __init__(self, mount_point: str, fstype: str, options: str) -> None:
        self.mount_point = mount_point
        self.fstype = fstype
        words = options.split(",")
        self.options = ",".join(word for word in words if word not in ("rw", "ro", "clone_children"))

    @property
    def has_controllers(self) -> bool:
        """Whether it is of use: the second hierarchy of a hybrid host is not, and makes crun refuse to run."""
        return self.fstype == "cgroup" or self.mount_point == "/sys/fs/cgroup"


def isolated(function: Callable[[], None]) -> bool:
    """Run a function as the first process of new namespaces.

    Returns:
        Whether it came to its end.
    """
    hierarchies = list(_hierarchies())
    with _groups(hierarchies) as name:
        return _in_child(lambda: _enter(hierarchies, name, function))


def _in_child(function: Callable[[], bool | None]) -> bool:
    """Run a function in a forked child; whether it returned anything but False."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    status = 1
    try:
        status = int(function() is False)
    except BaseException:  # the child must not go on as a second parent
        traceback.print_exc()
    finally:
        os._exit(status)


def _hierarchies() -> Iterator[_Hierarchy]:
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            fstype, _, options = after.split()[:3]
            if fstype in ("cgroup", "cgroup2") and before.split()[4].startswith("/sys/fs/cgroup"):
                yield _Hierarchy(before.split()[4], fstype, options)


@contextlib.contextmanager
def _groups(hierarchies: list[_Hierarchy]) -> Iterator[str]:
    """Make a group in each hierarchy, give its name, and remove it with all below it at the end."""
    name = f"haconiwa-bench-{os.getpid()}"
    try:
        for hierarchy in hierarchies:
            group = os.path.join(hierarchy.mount_point, name)
            os.mkdir(group)
            for file in ("cpuset.cpus", "cpuset.mems"):
                if hierarchy.fstype == "cgroup" and os.path.exists(os.path.join(group, file)):
                    _write(os.path.join(group, file), _read(os.path.join(hierarchy.mount_point, file)))
        yield name
    finally:
        for hierarchy in hierarchies:
            _remove_group(os.path.join(hierarchy.mount_point, name))


def _enter(hierarchies: list[_Hierarchy], name: str, function: Callable[[], None]) -> bool:
    """Join the groups, enter the namespaces, mount what belongs to them, run the function as pid 1."""
    for hierarchy in hierarchies:
        _write(os.path.join(hierarchy.mount_point, name, "cgroup.procs"), "0")
    _unshare(_CLONE_NEWNS | _CLONE_NEWCGROUP | _CLONE_NEWNET)
    _mount("--make-rprivate", "/")
    _unshare(_CLONE_NEWPID)  # last: the next child is pid 1, and the namespace ends with it
    return _in_child(lambda: _as_init(hierarchies, function))


def _as_init(hierarchies: list[_Hierarchy], function: Callable[[], None]) -> None:
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for hierarchy in hierarchies:
        subprocess.run(["umount", hierarchy.mount_point], check=True)
        if hierarchy.has_controllers:
            options = ["-o", hierarchy.options] if hierarchy.fstype == "cgroup" else []
            _mount(*options, "-t", hierarchy.fstype, "cgroup", hierarchy.mount_point)
            if hierarchy.fstype == "cgroup2":
                _leave_top(hierarchy.mount_point)
    function()


def _leave_top(mount_point: str) -> None:
    """In cgroup2 a group with processes has no controllers to give, so those of the measurement go one down."""
    os.mkdir(os.path.join(mount_point, "bench"))
    for pid in _read(os.path.join(mount_point, "cgroup.procs")).split():
        _write(os.path.join(mount_point, "bench/cgroup.procs"), pid)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"cannot unshare {flags:#x}")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _remove_group(group: str) -> None:
    for parent, _, _ in os.walk(group, topdown=False):
        os.rmdir(parent)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
