"""What can be asked and told about network interfaces without a program: all in the caller's network namespace."""

from __future__ import annotations

import _socket
import os
import struct

from haconiwa.kernel.ioctl import ioctl_structure

_IFF_UP = 1
_IFREQ = struct.Struct("16sh22x")  # struct ifreq with ifr_flags
_IFREQ_INT = struct.Struct("16si20x")  # with ifr_mtu
_IFREQ_ADDRESS = struct.Struct("16sHxx4s16x")  # with ifr_addr, a struct sockaddr_in


def set_interface_up(name: str) -> None:
    """Brings an interface of the calling process's network namespace up.

    Raises:
        ValueError: The name is longer than 15 bytes or contains a NUL.
        SyscallError: ENODEV (no such interface), EPERM (no CAP_NET_ADMIN).
        OSError: No socket can be made.

    See: netdevice(7)
    """
    _, flags = _IFREQ.unpack(_ask("SIOCGIFFLAGS", _IFREQ.pack(_encoded(name), 0)))
    _ask("SIOCSIFFLAGS", _IFREQ.pack(_encoded(name), flags | _IFF_UP))


def interface_exists(name: str) -> bool:
    """Whether there is an interface of that name.

    See: if_nametoindex(3)
    """
    try:
        _socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def interface_mtu(name: str) -> int:
    """The largest packet of an interface, in bytes.

    Raises:
        SyscallError: ENODEV (no such interface).
    """
    mtu: int = _IFREQ_INT.unpack(_ask("SIOCGIFMTU", _IFREQ_INT.pack(_encoded(name), 0)))[1]
    return mtu


def interface_address(name: str) -> tuple[int, int]:
    """The IPv4 address of an interface and its netmask, as numbers.

    Raises:
        SyscallError: ENODEV (no such interface), EADDRNOTAVAIL (it has none).
    """
    request = _IFREQ_ADDRESS.pack(_encoded(name), _socket.AF_INET, b"")
    answers = (_ask(question, request) for question in ("SIOCGIFADDR", "SIOCGIFNETMASK"))
    address, mask = (int.from_bytes(_IFREQ_ADDRESS.unpack(answer)[2], "big") for answer in answers)
    return address, mask


def _encoded(name: str) -> bytes:
    encoded = os.fsencode(name)
    if len(encoded) > 15 or b"\0" in encoded:
        raise ValueError(f"no name of an interface: {name!r}")
    return encoded


def _ask(request: str, structure: bytes) -> bytes:
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        return ioctl_structure(control.fileno(), request, structure)
    finally:
        control.close()
