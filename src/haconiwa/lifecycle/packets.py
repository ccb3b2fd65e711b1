"""What both ends of a control socket keep to.

See: unix(7), docs/design/control-socket.md
"""

from __future__ import annotations

import struct
from _socket import SO_PEERCRED, SOL_SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

LARGEST_PACKET = 65536
"""Bytes of a request, an answer or an event."""

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


def credentials(connection: socket) -> tuple[int, int]:
    """Pid and user id of the process at the other end, which the kernel has noted when they connected."""
    pid, uid, _gid = _CREDENTIALS.unpack(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
