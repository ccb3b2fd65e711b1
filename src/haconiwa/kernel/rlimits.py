"""Resource limits, without the module ``resource``, whose errors are not those of the kernel."""

from __future__ import annotations

from haconiwa.kernel.foreign import Structure, byref, c_int, c_ulong, c_void_p
from haconiwa.kernel.libc import fields, libc_function, syscall_error
from haconiwa.kernel.names import KernelEnum

RLIM_INFINITY = 0xFFFFFFFFFFFFFFFF
"""No limit."""


class RLIMIT(KernelEnum):
    """The resources; the numbers are those of x86_64 and aarch64."""

    CPU = 0
    FSIZE = 1
    DATA = 2
    STACK = 3
    CORE = 4
    RSS = 5
    NPROC = 6
    NOFILE = 7
    MEMLOCK = 8
    AS = 9
    LOCKS = 10
    SIGPENDING = 11
    MSGQUEUE = 12
    NICE = 13
    RTPRIO = 14
    RTTIME = 15


class _Rlimit(Structure):
    """struct rlimit."""

    _fields_ = fields(c_ulong, "soft", "hard")


_getrlimit = libc_function("getrlimit", c_int, c_void_p)
_setrlimit = libc_function("setrlimit", c_int, c_void_p)


def getrlimit(resource: int) -> tuple[int, int]:
    """The soft and hard limit of this process.

    Raises:
        SyscallError: EINVAL (no such resource).

    See: getrlimit(2)
    """
    limit = _Rlimit()
    if _getrlimit(resource, byref(limit)) < 0:
        raise syscall_error("getrlimit", RLIMIT(resource))
    return limit.soft, limit.hard


def setrlimit(resource: int, soft: int, hard: int) -> None:
    """Sets both limits of this process.

    Raises:
        SyscallError: EPERM (a hard limit above the present one without CAP_SYS_RESOURCE in the first user namespace,
            or NOFILE above /proc/sys/fs/nr_open), EINVAL (soft above hard).

    See: setrlimit(2)
    """
    if _setrlimit(resource, byref(_Rlimit(soft, hard))) < 0:
        raise syscall_error("setrlimit", RLIMIT(resource), {"rlim_cur": soft, "rlim_max": hard})
