"""The names of a uts namespace."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_char_p, c_size_t
from haconiwa.kernel.libc import encode, libc_function, syscall_error

_sethostname = libc_function("sethostname", c_char_p, c_size_t)
_setdomainname = libc_function("setdomainname", c_char_p, c_size_t)


def sethostname(name: str) -> None:
    """Sets the host name of the calling process's uts namespace; at most 64 bytes.

    Raises:
        SyscallError: EPERM (no CAP_SYS_ADMIN there), EINVAL (too long).

    See: sethostname(2)
    """
    encoded = encode(name)
    if _sethostname(encoded, len(encoded)) < 0:
        raise syscall_error("sethostname", name, len(encoded))


def setdomainname(name: str) -> None:
    """Sets the NIS domain name. Raises as `sethostname`.

    See: setdomainname(2)
    """
    encoded = encode(name)
    if _setdomainname(encoded, len(encoded)) < 0:
        raise syscall_error("setdomainname", name, len(encoded))
