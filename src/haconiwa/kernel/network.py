"""The one thing about network interfaces that needs no program: up."""

from __future__ import annotations

import _socket
import os
import struct

from haconiwa.kernel.ioctl import ioctl_structure

_IFF_UP = 1
_IFREQ = struct.Struct("16sh22x")  # struct ifreq with ifr_flags


def set_interface_up(name: str) -> None:
    """Brings an interface of the calling process's network namespace up.

    Raises:
        ValueError: The name is longer than 15 bytes or contains a NUL.
        SyscallError: ENODEV (no such interface), EPERM (no CAP_NET_ADMIN).
        OSError: No socket can be made.

    See: netdevice(7)
    """
    encoded = os.fsencode(name)
    if len(encoded) > 15 or b"\0" in encoded:
        raise ValueError(f"no name of an interface: {name!r}")
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        _, flags = _IFREQ.unpack(ioctl_structure(control.fileno(), "SIOCGIFFLAGS", _IFREQ.pack(encoded, 0)))
        ioctl_structure(control.fileno(), "SIOCSIFFLAGS", _IFREQ.pack(encoded, flags | _IFF_UP))
    finally:
        control.close()
