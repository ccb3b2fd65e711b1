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
    try:
        return fcntl.ioctl(fd, REQUESTS[request], structure)
    except OSError as error:
        raise SyscallError(error.errno or 0, f"ioctl({fd}, {request}, {{...}})") from None
