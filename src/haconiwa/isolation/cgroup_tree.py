"""What has to be done above a group before it can limit anything."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError, describe_errno
from haconiwa.host.cgroups import LEAF_GROUP, PARENT_GROUP
from haconiwa.isolation.groups import read_group_file, write_group_file

_MOST_MOVES = 10


def enable_controllers(path: str, controllers: tuple[str, ...]) -> None:
    """Enable v2 controllers in the groups above one, from the base of our groups down.

    Nothing is ever disabled there, so that this never takes anything from whoever else manages the hierarchy.

    Args:
        path: Of the container's group.
        controllers: Names.

    Raises:
        ContainerError: The kernel refuses.
    """
    parent = os.path.dirname(path)
    for folder in (os.path.dirname(parent), parent):
        for controller in controllers:
            if controller not in read_group_file(f"{folder}/cgroup.subtree_control").split():
                _enable(folder, controller)


def _enable(folder: str, controller: str) -> None:
    try:
        _enable_in(folder, controller)
    except OSError as error:
        raise ContainerError(
            f'cannot enable the cgroup controller "{controller}" in "{folder}"',
            why=describe_errno(error.errno or 0),
            hint=_hint(error.errno, controller),
        ) from None


def _enable_in(folder: str, controller: str) -> None:
    """Enable a controller below a group, which may not have processes then.

    The kernel says so of most controllers; pids and cpu make the group a threaded one instead, below which no group is
    of any use.
    """
    for _ in range(_MOST_MOVES):
        try:
            if not _has_processes(folder):
                write_group_file(f"{folder}/cgroup.subtree_control", f"+{controller}")
                return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        if not _empty(folder):
            break
    write_group_file(f"{folder}/cgroup.subtree_control", f"+{controller}")


def _has_processes(folder: str) -> bool:
    """Whether a group has any and is not the root of all, which may."""
    return os.path.exists(f"{folder}/cgroup.type") and bool(read_group_file(f"{folder}/cgroup.procs").strip())


def _empty(folder: str) -> bool:
    """Move the processes of a delegated group into a leaf below it, ourselves among them.

    Returns:
        Whether there were any that could be moved. One of another pid namespace shows as 0, which would move us.
    """
    if os.path.basename(folder) == PARENT_GROUP:
        return False
    pids = [pid for pid in read_group_file(f"{folder}/cgroup.procs").split() if pid != "0"]
    leaf = f"{folder}/{LEAF_GROUP}"
    try:
        os.mkdir(leaf, 0o755)
    except FileExistsError:
        pass
    for pid in pids:
        try:
            write_group_file(f"{leaf}/cgroup.procs", pid)
        except ProcessLookupError:
            continue  # it has ended meanwhile
    return bool(pids)


def _hint(number: int | None, controller: str) -> str:
    if number == errno.EBUSY:
        return "a group with processes of its own cannot hand controllers on: move them into a group below it"
    if number in (errno.ENOENT, errno.EOPNOTSUPP):
        return f'whoever manages the groups above has to delegate "{controller}" too'
    if number == errno.EINVAL and controller == "cpu":
        return "realtime processes must be in the root group before the cpu controller can be enabled"
    return ""


def inherit_cpuset(path: str) -> None:
    """Give a v1 group and the one above it the processors and memory nodes of their parents, where they have none.

    Until both are there no process can join.
    See: cpuset(7)
    """
    for folder in (os.path.dirname(path), path):
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not read_group_file(f"{folder}/{name}").strip():
                write_group_file(f"{folder}/{name}", read_group_file(f"{os.path.dirname(folder)}/{name}").strip())
