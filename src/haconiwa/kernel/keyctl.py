"""The kernel's keyrings."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_char_p, c_long
from haconiwa.kernel.libc import encode_optional, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelEnum


class KEYCTL(KernelEnum):
    """Operations of keyctl(2)."""

    JOIN_SESSION_KEYRING = 1


_keyctl = raw_syscall("keyctl", c_long, c_char_p)


def join_session_keyring(name: str | None = None) -> int:
    """Replaces the session keyring by a new, empty one, so that the caller's keys are out of reach.

    Args:
        name: Joins the keyring of this name if there is one that may be searched, else makes one of this name;
            None makes one without a name.

    Returns:
        The keyring's serial number.

    Raises:
        SyscallError: ENOSYS (a kernel without keys), EDQUOT (the user's quota), EPERM (a name with a dot in front),
            EACCES.

    See: KEYCTL_JOIN_SESSION_KEYRING(2const)
    """
    serial = _keyctl(KEYCTL.JOIN_SESSION_KEYRING, encode_optional(name))
    if serial < 0:
        raise syscall_error("keyctl", KEYCTL.JOIN_SESSION_KEYRING, name)
    return serial
