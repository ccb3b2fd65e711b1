"""Making, entering and recognising namespaces."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_int
from haconiwa.kernel.ioctl import ioctl
from haconiwa.kernel.libc import libc_function, syscall_error
from haconiwa.kernel.names import KernelFlag


class CLONE(KernelFlag):
    """What is made new or entered; the last three only for `haconiwa.kernel.process.clone3`."""

    NEWTIME = 0x00000080
    NEWNS = 0x00020000
    NEWCGROUP = 0x02000000
    NEWUTS = 0x04000000
    NEWIPC = 0x08000000
    NEWUSER = 0x10000000
    NEWPID = 0x20000000
    NEWNET = 0x40000000
    PIDFD = 0x00001000
    CLEAR_SIGHAND = 0x100000000
    INTO_CGROUP = 0x200000000


_unshare = libc_function("unshare", c_int)
_setns = libc_function("setns", c_int, c_int)


def unshare(flags: int) -> None:
    """Moves the calling process into new namespaces; for `CLONE.NEWPID` and `CLONE.NEWTIME` its children.

    Raises:
        SyscallError: EPERM (no CAP_SYS_ADMIN, or a user namespace is refused), EINVAL (unknown flag; NEWUSER with a
            second thread), ENOSPC (too many nested or existing namespaces), EUSERS.

    See: unshare(2)
    """
    if _unshare(flags) < 0:
        raise syscall_error("unshare", CLONE(flags))


def setns(fd: int, flags: int = 0) -> None:
    """Enters the namespace of an nsfs descriptor, or several of the process of a pidfd at once (Linux 5.8).

    Args:
        fd: The nsfs file, or the pidfd.
        flags: `CLONE`: the type that the namespace must have (0 for any), or with a pidfd those to enter.

    Raises:
        SyscallError: EBADF, EINVAL (other type than said; NEWUSER: one's own, or a second thread; NEWNS with a shared
            root), EPERM, ESRCH (the pidfd's process is gone).

    See: setns(2)
    """
    if _setns(fd, flags) < 0:
        raise syscall_error("setns", fd, CLONE(flags))


def namespace_type(fd: int) -> CLONE:
    """Which namespace an nsfs descriptor stands for.

    Raises:
        SyscallError: ENOTTY (no nsfs file), EBADF.

    See: NS_GET_NSTYPE(2const)
    """
    return CLONE(ioctl(fd, "NS_GET_NSTYPE"))
