"""What is done for containers whose supervisor was killed."""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import ContainerError
from haconiwa.isolation.groups import kill_groups
from haconiwa.lifecycle.identity import open_pidfd
from haconiwa.lifecycle.state import Claim, is_supervised, read_state, without_those_of_others
from haconiwa.lifecycle.stop import ends_by_pid_namespace, forget, kill_all

_KILLED_WITHIN_S = 5.0


def end_abandoned(name: str, supervisor_pid: int) -> None:
    """End a foreground container that outlived its supervisor, and remove what is left of it. Idempotent.

    Args:
        name: The container's.
        supervisor_pid: Its late supervisor's; the name may have a new one already.
    """
    try:
        state = read_state(name)
    except ContainerError:
        return
    if state is None:
        _give_back(name)
        return
    if state.supervisor.pid != supervisor_pid:
        return
    pidfd = open_pidfd(state.init)
    if pidfd >= 0:
        kill_all(state, pidfd, _KILLED_WITHIN_S)
        os.close(pidfd)
    elif not ends_by_pid_namespace(state):
        kill_groups(without_those_of_others(state.name, state.cgroups))
    _wait_for_lock(name)
    forget(state)


def _give_back(name: str) -> None:
    """Nothing was recorded, so there is nothing but the name that its supervisor held."""
    try:
        Claim(name).release()
    except ContainerError:
        return  # another one has it by now


def _wait_for_lock(name: str) -> None:
    """A process that died before its exec, maybe before it was recorded, holds the lock until it is gone entirely."""
    deadline = time.monotonic() + _KILLED_WITHIN_S
    while is_supervised(name) and time.monotonic() < deadline:
        select.select([], [], [], 0.005)  # a lock tells nobody that it is free
