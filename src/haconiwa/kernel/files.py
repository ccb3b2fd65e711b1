"""Opening confined to a directory, closing ranges of descriptors, and which file system a descriptor is on."""

from __future__ import annotations

import errno
import os

from haconiwa.kernel.foreign import (
    Structure,
    byref,
    c_char_p,
    c_int,
    c_size_t,
    c_uint64,
    c_ulong,
    c_void_p,
    get_errno,
    sizeof,
)
from haconiwa.kernel.libc import encode, fields, libc_function, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelFlag

PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
DEVPTS_SUPER_MAGIC = 0x1CD1
CGROUP_SUPER_MAGIC = 0x27E0EB
CGROUP2_SUPER_MAGIC = 0x63677270
NSFS_MAGIC = 0x6E736673
BTRFS_SUPER_MAGIC = 0x9123683E

MAX_FD = 0xFFFFFFFF
"""As `last` of `close_range`: to the end."""

# the kernel gives EAGAIN when a rename or mount anywhere may have moved a ".." under its hands; runc tries as often
_OPEN_ATTEMPTS = 128


class RESOLVE(KernelFlag):
    """How openat2(2) may walk a path."""

    NO_XDEV = 0x01
    NO_MAGICLINKS = 0x02
    NO_SYMLINKS = 0x04
    BENEATH = 0x08
    IN_ROOT = 0x10
    CACHED = 0x20


class CLOSE_RANGE(KernelFlag):
    """Flags of close_range(2)."""

    UNSHARE = 2
    CLOEXEC = 4


class _OpenFlag(KernelFlag):
    """The O_ flags of open(2), whose numbers depend on the machine, for messages."""

    WRONLY = os.O_WRONLY
    RDWR = os.O_RDWR
    CREAT = os.O_CREAT
    EXCL = os.O_EXCL
    NOCTTY = os.O_NOCTTY
    TRUNC = os.O_TRUNC
    APPEND = os.O_APPEND
    NONBLOCK = os.O_NONBLOCK
    DIRECTORY = os.O_DIRECTORY
    NOFOLLOW = os.O_NOFOLLOW
    CLOEXEC = os.O_CLOEXEC
    PATH = os.O_PATH

    @classmethod
    def kernel_name(cls, name: str) -> str:
        return f"O_{name}"


class _OpenHow(Structure):
    """struct open_how."""

    _fields_ = fields(c_uint64, "flags", "mode", "resolve")


class _Statfs(Structure):
    """struct statfs of the 64-bit machines, 120 bytes, of which only the first field is wanted."""

    _fields_ = fields(c_ulong, "f_type") + fields(c_ulong * 14, "rest")


_openat2 = raw_syscall("openat2", c_int, c_char_p, c_void_p, c_size_t)
_close_range = raw_syscall("close_range", c_ulong, c_ulong, c_ulong)
_fstatfs = libc_function("fstatfs", c_int, c_void_p)


def openat2(dirfd: int, path: str | bytes | os.PathLike[str], flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Opens a file with rules for how its path is walked.

    An interrupted call is made again, and so is one that lost a race with a rename (EAGAIN), 128 times in all.

    Args:
        dirfd: Where a relative path starts, and the root for `RESOLVE.IN_ROOT` and `RESOLVE.BENEATH`.
        path: As seen from there.
        flags: ``os.O_*``; O_CLOEXEC is added.
        mode: For O_CREAT and O_TMPFILE, else 0.
        resolve: `RESOLVE`.

    Returns:
        A descriptor.

    Raises:
        SyscallError: EXDEV (the path leaves `dirfd` or crosses a mount against the rules), ELOOP (a forbidden or
            endless link), ENOENT, ENOTDIR, EINVAL (an unknown flag, or a mode without O_CREAT), EAGAIN, ENOSYS
            (before Linux 5.6).

    See: openat2(2)
    """
    flags |= os.O_CLOEXEC
    encoded, how = encode(path), _OpenHow(flags, mode, resolve)
    for _ in range(_OPEN_ATTEMPTS):
        fd = _openat2(dirfd, encoded, byref(how), sizeof(how))
        if fd >= 0:
            return fd
        if get_errno() not in (errno.EINTR, errno.EAGAIN):
            break
    shown = {"flags": _OpenFlag(flags), "mode": f"0{mode:o}", "resolve": RESOLVE(resolve)}
    raise syscall_error("openat2", dirfd, path, shown, sizeof(how))


def close_range(first: int, last: int = MAX_FD, flags: int = 0) -> None:
    """Closes the descriptors from `first` to `last`, both included, or with `CLOSE_RANGE.CLOEXEC` only marks them.

    Raises:
        SyscallError: EINVAL (`first` after `last`, unknown flag), ENOSYS (before Linux 5.9; CLOEXEC: 5.11).

    See: close_range(2)
    """
    if _close_range(first, last, flags) < 0:
        raise syscall_error("close_range", first, last, CLOSE_RANGE(flags))


def fstatfs(fd: int) -> int:
    """The magic number of the file system that an open file is on, such as `NSFS_MAGIC`.

    Raises:
        SyscallError: EBADF, or the file system's own.

    See: fstatfs(2)
    """
    result = _Statfs()
    while _fstatfs(fd, byref(result)) < 0:
        if get_errno() != errno.EINTR:
            raise syscall_error("fstatfs", fd)
    return int(result.f_type)
