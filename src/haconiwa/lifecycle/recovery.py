"""What is done for containers whose supervisor was killed."""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import ContainerError
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.identity import open_pidfd, signal_process
from haconiwa.lifecycle.members import kill_all
from haconiwa.lifecycle.state import Claim, is_supervised, read_state
from haconiwa.lifecycle.stop import ALONE_S, ends_by_pid_namespace, forget, wait_for_end

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
        signal_process(pidfd, signal.SIGKILL)
        if not wait_for_end(pidfd, ALONE_S):
            kill_all(state)
            wait_for_end(pidfd, _KILLED_WITHIN_S)
        os.close(pidfd)
    if not ends_by_pid_namespace(state):
        kill_all(state)
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
