"""Device controls, with the kernel's names for messages."""

from __future__ import annotations

import fcntl

from haconiwa.kernel.errors import SyscallError

REQUESTS = {
    "TIOCSCTTY": 0x540E,
    "TIOCGWINSZ": 0x5413,
    "TIOCSWINSZ": 0x5414,
    "TIOCGPTPEER": 0x5441,
    "TIOCSPTLCK": 0x40045431,
    "SIOCGIFFLAGS": 0x8913,
    "SIOCSIFFLAGS": 0x8914,
    "SIOCGIFADDR": 0x8915,
    "SIOCGIFNETMASK": 0x891B,
    "SIOCGIFMTU": 0x8921,
    "NS_GET_NSTYPE": 0xB703,
    "PIDFD_GET_INFO": 0xC040FF0B,
    "BTRFS_IOC_SUBVOL_CREATE": 0x5000940E,
    "BTRFS_IOC_SNAP_DESTROY": 0x5000940F,
    "BTRFS_IOC_SNAP_CREATE_V2": 0x50009417,
    "BTRFS_IOC_SUBVOL_GETFLAGS": 0x80089419,
    "BTRFS_IOC_SUBVOL_SETFLAGS": 0x4008941A,
    "BTRFS_IOC_GET_SUBVOL_ROOTREF": 0xD000943D,
}
"""By name; the same on x86_64 and aarch64."""


def ioctl(fd: int, request: str, argument: int = 0) -> int:
    """A request of `REQUESTS` that takes a number, to what is behind a descriptor; returns what the kernel does.

    Raises:
        SyscallError: ENOTTY (the request does not fit what the descriptor is), EBADF, or the request's own.

    See: ioctl(2)
    """
    try:
        return fcntl.ioctl(fd, REQUESTS[request], argument)
    except OSError as error:
        raise SyscallError(error.errno or 0, f"ioctl({fd}, {request}, {argument})") from None


def ioctl_structure(fd: int, request: str, structure: bytes) -> bytes:
    """A request of `REQUESTS` that takes a structure; returns the structure as the kernel leaves it.

    Raises as `ioctl`.
    """
    buffer = bytearray(structure)  # of bytes, fcntl takes no more than 1024
    try:
        fcntl.ioctl(fd, REQUESTS[request], buffer)
    except OSError as error:
        raise SyscallError(error.errno or 0, f"ioctl({fd}, {request}, {{...}})") from None
    return bytes(buffer)
