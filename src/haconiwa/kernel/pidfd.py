"""What a pidfd says of its process. See: pidfd_open(2), linux/pidfd.h."""

from __future__ import annotations

import struct

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.ioctl import ioctl_structure

_INFO = struct.Struct("=QQ11Ii")  # struct pidfd_info of Linux 6.15: mask, cgroup, ids, and the wait status
_EXIT = 1 << 3  # PIDFD_INFO_EXIT


def reaped_wait_status(pidfd: int) -> int | None:
    """How a process has ended that somebody else was the parent of.

    Args:
        pidfd: Opened before that parent waited for it.

    Returns:
        Its wait status; None while nobody has waited for it, and always before Linux 6.15.
    """
    try:
        answer = ioctl_structure(pidfd, "PIDFD_GET_INFO", _INFO.pack(_EXIT, *(0,) * 13))
    except SyscallError:
        return None
    mask, *_, status = _INFO.unpack(answer)
    return status if mask & _EXIT else None
