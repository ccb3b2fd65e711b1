"""The processes of a container, as the host sees them."""

from __future__ import annotations

import os

from haconiwa.isolation.groups import member_pids

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


def _pid_namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None  # it is gone, or somebody else's
