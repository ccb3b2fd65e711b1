"""The C library, with argument types set once and every result checked.

How the wrappers of this package are made::

    _umount2 = libc_function("umount2", c_char_p, c_int)

    def umount2(target, flags):
        if _umount2(encode(target), flags) < 0:
            raise syscall_error("umount2", target, MNT(flags))

so that a call which succeeds pays nothing for the message of one that fails.
"""

from __future__ import annotations

import errno
import os

from haconiwa.kernel import syscalls
from haconiwa.kernel.errors import SyscallError, render_call
from haconiwa.kernel.foreign import c_char_p, c_int, c_long, function, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def libc_function(name: str, *argtypes: Any) -> Callable[..., int]:
    """A function of the C library that returns an int, below 0 on failure."""
    found: Callable[..., int] = function(name, c_int, argtypes)
    return found


def raw_syscall(name: str, *argtypes: Any) -> Callable[..., int]:
    """A system call by number, below 0 on failure.

    On a machine whose numbers are unknown the result is a function that raises `SyscallError` with ENOSYS, so that
    only those fail who need the call. See: syscall(2)
    """
    machine = syscalls.machine()
    if machine not in syscalls.NUMBERS:
        return _refusal(f'{name} [no system call numbers known for machine "{machine}"]')
    syscall = function("syscall", c_long, (c_long, *argtypes))
    number = syscalls.NUMBERS[machine][name]
    return lambda *arguments: syscall(number, *arguments)


_DATABASES = (
    b"aliases", b"ethers", b"group", b"gshadow", b"initgroups", b"netgroup", b"networks", b"passwd", b"protocols",
    b"publickey", b"rpc", b"services", b"shadow",
)  # fmt: skip


def use_built_in_name_services() -> None:
    """Let the C library look names up by what is built into it, whatever nsswitch.conf names.

    Inside a container it would load the modules named by that file of the container's into this process. Since glibc
    2.34 files and dns are built in; other C libraries have no modules.

    See: nsswitch.conf(5)
    """
    try:
        configure = libc_function("__nss_configure_lookup", c_char_p, c_char_p)
    except AttributeError:
        return
    configure(b"hosts", b"files dns")
    for database in _DATABASES:
        configure(database, b"files")


def _refusal(call: str) -> Callable[..., int]:
    def refuse(*_arguments: object) -> int:
        raise SyscallError(errno.ENOSYS, call)

    return refuse


def fields(ctype: Any, *names: str) -> Any:
    """Fields of one type for a ``Structure``."""
    return [(name, ctype) for name in names]


def syscall_error(name: str, *arguments: object) -> SyscallError:
    """The exception for the call that has just failed, with the errno it left."""
    return SyscallError(get_errno(), render_call(name, arguments))


def encode(value: str | bytes | os.PathLike[str]) -> bytes:
    """A string for the kernel.

    Raises:
        ValueError: It contains a NUL, where C would silently end it.
    """
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError(f"embedded null byte in {value!r}")
    return encoded


def encode_optional(value: str | bytes | os.PathLike[str] | None) -> bytes | None:
    """As `encode`, with None for a NULL pointer."""
    return None if value is None else encode(value)
