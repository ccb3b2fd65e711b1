"""Attributes of the calling process (of its one thread)."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_int, c_ulong
from haconiwa.kernel.libc import libc_function, syscall_error
from haconiwa.kernel.names import KernelEnum


class PR(KernelEnum):
    """Operations of prctl(2)."""

    SET_PDEATHSIG = 1
    GET_DUMPABLE = 3
    SET_DUMPABLE = 4
    GET_KEEPCAPS = 7
    SET_KEEPCAPS = 8
    CAPBSET_READ = 23
    CAPBSET_DROP = 24
    SET_CHILD_SUBREAPER = 36
    SET_NO_NEW_PRIVS = 38
    GET_NO_NEW_PRIVS = 39
    CAP_AMBIENT = 47


# variadic in C: the kernel reads whole registers, so nothing shorter than a long may be passed
_prctl = libc_function("prctl", c_int, *[c_ulong] * 4)


def prctl(option: int, arg2: int = 0, arg3: int = 0) -> int:
    """One operation on the calling process; what it takes and returns depends on `option`.

    Raises:
        SyscallError: EINVAL (an argument, or an operation unknown to this kernel), EPERM.

    See: prctl(2)
    """
    result = _prctl(option, arg2, arg3, 0, 0)
    if result < 0:
        raise syscall_error("prctl", option, arg2, arg3)
    return result
