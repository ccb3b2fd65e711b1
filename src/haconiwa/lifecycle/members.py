"""The processes of a container, as the host sees them."""

from __future__ import annotations

import os

from haconiwa.isolation.groups import kill_groups, member_pids
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.state import without_those_of_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.lifecycle.state import State


def container_pids(state: State) -> list[int]:
    """All processes in its groups; without a group those in the pid namespace of its first process."""
    if state.cgroups:
        return sorted({pid for path in state.cgroups for pid in member_pids(path)})
    namespace = _pid_namespace(state.init.pid)
    if namespace is None or namespace == _pid_namespace(os.getpid()):
        return []
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return sorted(pid for pid in pids if _pid_namespace(pid) == namespace)


def kill_all(state: State) -> None:
    """Kill every process of a container, for the case that its first one does not end by KILL.

    Another one inside may hold it at its exit, see PTRACE_O_TRACEEXIT in ptrace(2); the kernel ends the others only
    after it.
    """
    kill_groups(without_those_of_others(state.name, state.cgroups))
    if not state.cgroups:
        for pid in container_pids(state):
            _kill_in_namespace(pid, _pid_namespace(state.init.pid))


def _kill_in_namespace(pid: int, namespace: str | None) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if namespace is not None and _pid_namespace(pid) == namespace:  # by now the number could be another's
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended
    finally:
        os.close(pidfd)


def _pid_namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None  # it is gone, or somebody else's
