"""What a container uses at a moment, for `haconiwa stats` and those who ask its supervisor."""

from __future__ import annotations

import os
import time

from haconiwa.isolation.net.traffic import read_traffic
from haconiwa.isolation.usage import read_usage
from haconiwa.lifecycle.identity import Identity, open_pidfd, wait_for_end
from haconiwa.lifecycle.state import now
from haconiwa.spec.record import Record, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.isolation.net.traffic import Traffic
    from haconiwa.isolation.usage import Usage
    from haconiwa.lifecycle.state import State


class Measurement(Record):
    """One container at one moment.

    Attributes:
        name: The container's.
        status: As `live_status` says.
        init: Its first process; another one stands for another run, whose totals begin at 0.
        time: Seconds since the epoch.
        at_s: The same moment in seconds since the machine's start.
        usage: None while nothing of it runs.
        traffic: None then, and where the network is the host's.
    """

    name: str
    status: str
    init: Identity
    time: float
    at_s: float
    usage: Usage | None = None
    traffic: Traffic | None = None


def measure(state: State, status: str) -> Measurement:
    """Look at a container.

    Args:
        state: As recorded.
        status: What is true of it now.
    """
    usage, traffic = None, None
    pidfd = open_pidfd(state.init) if status != "stopped" else -1
    if pidfd >= 0:
        try:
            usage = read_usage(state.cgroups, state.init.pid)
            traffic = _read_traffic(state.init.pid)
            if wait_for_end(pidfd, 0):  # so that another process may have had its pid meanwhile
                usage, traffic = None, None
        finally:
            os.close(pidfd)
    return Measurement(
        name=state.name, status=status, init=state.init, time=now(), at_s=_uptime_s(), usage=usage, traffic=traffic
    )


def _read_traffic(pid: int) -> Traffic | None:
    try:
        return read_traffic(pid)
    except OSError:
        return None


def _uptime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def cpu_percent(found: Measurement, before: Measurement | None = None) -> float | None:
    """How much of one processor a container used since an earlier look, or without one of this run since its start.

    Returns:
        100 for one processor all the time; None while nothing runs.
    """
    if found.usage is None:
        return None
    used_s, since_s = found.usage.cpu_s, found.at_s - found.init.started_at / os.sysconf("SC_CLK_TCK")
    if before and before.usage and before.init == found.init:
        used_s, since_s = used_s - before.usage.cpu_s, found.at_s - before.at_s
    return round(max(0.0, used_s) / max(since_s, 0.01) * 100, 1)


def describe(found: Measurement, before: Measurement | None = None) -> dict[str, object]:
    """A measurement as plain values, for JSON; what is not known is None."""
    usage, traffic = found.usage, found.traffic
    return {
        "name": found.name,
        "status": found.status,
        "pid": found.init.pid if usage else None,
        "time": found.time,
        "cpu_percent": cpu_percent(found, before),
        "cpu_seconds": round(usage.cpu_s, 6) if usage else None,
        "memory": usage.memory if usage else None,
        "memory_limit": usage.memory_limit if usage else None,
        "pids": usage.pids if usage else None,
        "pids_limit": usage.pids_limit if usage else None,
        "read_bytes": usage.read_bytes if usage else None,
        "written_bytes": usage.written_bytes if usage else None,
        "received_bytes": traffic.received_bytes if traffic else None,
        "sent_bytes": traffic.sent_bytes if traffic else None,
        "interfaces": [to_plain(interface) for interface in traffic.interfaces] if traffic else [],
        "of_processes": list(usage.of_processes) if usage else [],
    }
