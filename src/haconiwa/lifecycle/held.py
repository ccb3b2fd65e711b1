"""The end of a first process that another one holds at its exit, as a debugger may: KILL alone does not end it then.

The kernel ends everything else in a pid namespace only after its first process. So those that hold it are killed one
by one, and whoever holds these. Who looks at it from outside is left alone.
See: PTRACE_O_TRACEEXIT in ptrace(2), pid_namespaces(7)
"""

from __future__ import annotations

import os
import time

from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.identity import pid_namespace, wait_for_end

_LOOK_EVERY_S = 0.1


def wait_for_end_of_all(pidfd: int, pid: int, timeout_s: float) -> bool:
    """Wait until the first process of a pid namespace has ended, which got KILL.

    Args:
        pidfd: Of the process.
        pid: Its number here.
        timeout_s: How long to wait.

    Returns:
        Whether it has.
    """
    deadline = time.monotonic() + timeout_s
    while not wait_for_end(pidfd, min(_LOOK_EVERY_S, deadline - time.monotonic())):
        if time.monotonic() >= deadline:
            return False
        _kill_holders(pid)
    return True


def holders(pid: int) -> set[int]:
    """The processes that trace a process, or a thread of it."""
    found = set()
    for thread in _listed(f"/proc/{pid}/task"):
        tracer = _field(f"/proc/{pid}/task/{thread}", "TracerPid")
        if tracer > 0 and (process := _field(f"/proc/{tracer}", "Tgid")) > 0:  # it may be a thread
            found.add(process)
    return found


def _kill_holders(pid: int) -> None:
    namespace = pid_namespace(pid)
    waiting, seen = [pid], {pid}
    while waiting:
        for holder in holders(waiting.pop()) - seen:
            seen.add(holder)
            if namespace is not None and _is_killed(holder, namespace):
                waiting.append(holder)


def _is_killed(pid: int, namespace: str) -> bool:
    """Kill a process if it is in a pid namespace."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if pid_namespace(pid) != namespace:  # or by now the number is another's
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _field(folder: str, name: str) -> int:
    """A number in the status of a process; -1 when it is gone."""
    try:
        with open(f"{folder}/status", encoding="utf-8", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(f"{name}:")), -1)
    except OSError:
        return -1
