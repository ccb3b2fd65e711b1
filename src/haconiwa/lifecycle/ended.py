"""How a process has ended whose parent we are not: that of a container that was taken over.

The kernel tells its wait status to the parent alone. But until the parent asks, whoever may look into the process finds
it in /proc; afterwards a pidfd has it, since Linux 6.15. On an older kernel it may remain unknown.
"""

from __future__ import annotations

import os
import select

from haconiwa.kernel.pidfd import reaped_wait_status
from haconiwa.lifecycle.identity import EXIT_CODE, STARTED_AT, STATE, ZOMBIE, Identity, read_stat


def wait_status(identity: Identity, pidfd: int) -> int | None:
    """Wait for the end of a process.

    Args:
        identity: The process.
        pidfd: Of it, opened while it lived.

    Returns:
        Its wait status; None when that cannot be known.
    """
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    status = _status_of_zombie(identity)
    return reaped_wait_status(pidfd) if status is None else status


def _status_of_zombie(identity: Identity) -> int | None:
    """What the parent will be told; None when it has been told already, or the kernel does not show it to us."""
    try:
        os.readlink(f"/proc/{identity.pid}/ns/user")  # takes the same right; without it the number would be 0
        fields = read_stat(identity.pid)
    except OSError:
        return None
    is_it = fields[STATE] == ZOMBIE and int(fields[STARTED_AT]) == identity.started_at
    return int(fields[EXIT_CODE]) if is_it else None
