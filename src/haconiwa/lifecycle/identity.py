"""Who is alive. A pid alone says nothing: it is taken together with the process's start time and the host's boot.

See: proc_pid_stat(5), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os
import select
import time

from haconiwa.host.loop import wait_ms
from haconiwa.kernel import signals as signal
from haconiwa.spec.record import Record


class Identity(Record):
    """One process of this boot of the machine, which no later process can be taken for.

    Attributes:
        pid: In the pid namespace of the command that reads it, the host's.
        started_at: Clock ticks since boot, field 22 of /proc/PID/stat.
    """

    pid: int
    started_at: int


STATE, STARTED_AT, EXIT_CODE = 0, 19, 49
"""Which fields of `read_stat` they are."""

ZOMBIE = b"Z"

NOBODY = Identity(pid=0, started_at=0)

_COARSE_S = 0.02
"""How much the time of a file may lie behind the clock, two ticks at the most."""


def identify(pid: int) -> Identity:
    """The identity of a live process.

    Raises:
        OSError: There is no such process.
    """
    return Identity(pid=pid, started_at=int(read_stat(pid)[STARTED_AT]))


def read_stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third, the state, on.

    See: proc_pid_stat(5)

    Raises:
        OSError: There is no such process.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The second field is the name in parentheses, which may hold anything.
        return file.read(4096).rpartition(b")")[2].split()


def age_s(identity: Identity) -> float:
    """For how long a process has existed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - identity.started_at / os.sysconf("SC_CLK_TCK")


def open_pidfd(identity: Identity) -> int:
    """A pidfd of that very process, or -1 when it has ended.

    See: pidfd_open(2)
    """
    if identity.pid <= 0:
        return -1
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (OSError, OverflowError):  # a damaged record may hold any number
        return -1
    try:
        if identify(identity.pid) == identity:
            return pidfd
    except OSError:
        pass
    os.close(pidfd)
    return -1


def open_elder(pid: int, made_at: float) -> int:
    """A pidfd of the process with a pid, if it is older than a file that it has made.

    Args:
        pid: From where a later process may have got it too.
        made_at: Of the file, in seconds since 1970.

    Raises:
        OSError: There is no such process, or it began later (ESRCH).
    """
    pidfd = os.pidfd_open(pid)
    try:
        if time.time() - age_s(identify(pid)) > made_at + _COARSE_S:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    except OSError:
        os.close(pidfd)
        raise
    return pidfd


def is_alive(identity: Identity) -> bool:
    """Whether that very process exists; a zombie counts as ended."""
    pidfd = open_pidfd(identity)
    if pidfd < 0:
        return False
    os.close(pidfd)
    try:
        return read_stat(identity.pid)[STATE] != ZOMBIE
    except OSError:
        return False


def boot_id() -> str:
    """Names this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def pid_namespace(pid: int) -> str | None:
    """Names the pid namespace of a process; None when it is gone, or somebody else's."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def wait_for_end(pidfd: int, timeout_s: float) -> bool:
    """Wait until a process has ended.

    Returns:
        Whether it has; within a millisecond when `timeout_s` is 0.
    """
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while not poll.poll(wait_ms(deadline)):
        if time.monotonic() >= deadline:
            return False
    return True


def signal_process(pidfd: int, number: int) -> None:
    """Signal a process that may have ended, and been waited for, meanwhile.

    See: pidfd_send_signal(2)
    """
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass  # what the signal was for has happened
