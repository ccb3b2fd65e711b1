"""The processes of a container, as the host sees them."""

from __future__ import annotations

import os

from haconiwa.isolation.groups import member_pids
from haconiwa.lifecycle.identity import pid_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.lifecycle.state import State


def container_pids(state: State) -> list[int]:
    """All processes in its groups; without a group those in the pid namespace of its first process."""
    if state.cgroups:
        return sorted({pid for path in state.cgroups for pid in member_pids(path)})
    namespace = pid_namespace(state.init.pid)
    if namespace is None or namespace == pid_namespace(os.getpid()):
        return []
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return sorted(pid for pid in pids if pid_namespace(pid) == namespace)
