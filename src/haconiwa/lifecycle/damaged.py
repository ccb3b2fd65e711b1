"""Containers whose record cannot be read: what is known of them without it, and how they are ended.

Their lock says whether a supervisor lives, its control socket which process that is, and the groups of their name what
runs in them.
"""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import ContainerError
from haconiwa.host.cgroups import hierarchies
from haconiwa.host.paths import run_dir
from haconiwa.isolation.groups import is_populated, kill_groups, remove_groups
from haconiwa.kernel import signals as signal
from haconiwa.kernel.pidfd import peer_pidfd
from haconiwa.lifecycle.identity import open_elder, signal_process
from haconiwa.lifecycle.packets import credentials
from haconiwa.lifecycle.state import (
    is_supervised,
    list_states,
    lock_name,
    read_state,
    remove_folder,
    without_those_of_others,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

_SETTLE_S = 10.0
"""How long a supervisor may take for its teardown hooks and clean-up once all has been killed."""


def is_damaged(name: str) -> bool:
    """Whether there is a record of that name that cannot be read."""
    try:
        read_state("" if "/" in name else name)
    except ContainerError:
        return True
    return False


def damaged_in_use() -> list[ContainerError]:
    """Why each record of a container that may still run cannot be read; `subject` is the container's name."""
    unreadable: list[ContainerError] = []
    list_states(unreadable)
    return [error for error in unreadable if is_in_use(error.subject)]


def is_in_use(name: str) -> bool:
    """Whether a name has a living supervisor or processes in its groups."""
    return is_supervised(name) or any(map(is_populated, groups_of(name)))


def groups_of(name: str) -> tuple[str, ...]:
    """The groups that a container of that name has, unless its file names another one, and that no other one has."""
    return without_those_of_others(name, tuple(hierarchy.group(name) for hierarchy in hierarchies()))


def stop_damaged(name: str, timeout_s: float) -> bool:
    """End what runs under a name whose record cannot be read, and clear it away.

    Args:
        name: The container's.
        timeout_s: Between TERM to its supervisor, which passes it on, and KILL to everything in its groups.

    Returns:
        Whether anything was there to be ended.

    Raises:
        ContainerError: Its supervisor or a process of it is still there, or another process has taken its name.
    """
    was_used = is_in_use(name)
    if not _wait(name, timeout_s if _tell_supervisor(name) else 0.0):
        kill_groups(groups_of(name))
        if not _wait(name, _SETTLE_S):
            hint = f"end the process that holds {name}/lock open below the run directory, see fuser(1)"
            raise ContainerError("its supervisor still runs", why="a hook may hang", hint=hint, subject=name)
    folder = os.path.join(run_dir(), name)
    lock_fd = lock_name(folder, name, "end what is left of it")  # nothing of that name starts meanwhile
    try:
        _clear_away(name, folder)
    finally:
        os.close(lock_fd)
    return was_used


def _clear_away(name: str, folder: str) -> None:
    """End and remove what a dead supervisor has left of a name that is locked by us."""
    groups = groups_of(name)
    kill_groups(groups)
    if left := remove_groups(groups):
        raise ContainerError(f'cannot remove the cgroup "{left[0]}"', why="it has processes in it", subject=name)
    if is_damaged(name) or read_state(name) is None:  # else its supervisor has mended the record and was killed
        remove_folder(folder)


def _tell_supervisor(name: str) -> bool:
    """Send TERM to the process that listens at the control socket; whether there is one."""
    from haconiwa.lifecycle.ask import connect

    try:
        with connect(name, 1.0) as connection:
            pidfd = _open_listener(connection, os.path.join(run_dir(), name, "control"))
    except (OSError, ValueError):
        return False
    signal_process(pidfd, signal.SIGTERM)
    os.close(pidfd)
    return True


def _open_listener(connection: socket, path: str) -> int:
    """A pidfd of the process that has made a control socket; another one may have its pid by now."""
    pidfd = peer_pidfd(connection)
    if pidfd is not None:
        return pidfd
    return open_elder(credentials(connection)[0], os.lstat(path).st_mtime)


def _wait(name: str, timeout_s: float) -> bool:
    """Wait until nobody has the lock of a name."""
    deadline = time.monotonic() + timeout_s
    while is_supervised(name):
        if time.monotonic() >= deadline:
            return False
        select.select([], [], [], 0.01)  # a lock tells nobody that it is free
    return True
