"""What a pidfd says of its process, and where one comes from. See: pidfd_open(2), linux/pidfd.h."""

from __future__ import annotations

import errno
import struct
from _socket import SOL_SOCKET

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.ioctl import ioctl_structure

_INFO = struct.Struct("=QQ11Ii")  # struct pidfd_info of Linux 6.15: mask, cgroup, ids, and the wait status
_EXIT = 1 << 3  # PIDFD_INFO_EXIT

_SO_PEERPIDFD = 77  # of both architectures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket


def peer_pidfd(connection: socket) -> int | None:
    """A pidfd of the very process that listens at the other end of a connection, or has connected to this one.

    Args:
        connection: A Unix socket that is connected.

    Returns:
        The pidfd; None before Linux 6.5.

    Raises:
        OSError: ESRCH, EINVAL, ENODATA (that process has ended).

    See: unix(7), SO_PEERPIDFD
    """
    try:
        return connection.getsockopt(SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return None
        raise


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
