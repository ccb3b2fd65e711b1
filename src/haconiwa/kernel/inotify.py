"""inotify_init1(2) and inotify_add_watch(2)."""

from __future__ import annotations

import ctypes
import os

from haconiwa.kernel.libc import encode, libc_function, syscall_error
from haconiwa.kernel.names import KernelFlag

_inotify_init1 = libc_function("inotify_init1", ctypes.c_int)
_inotify_add_watch = libc_function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class IN(KernelFlag):
    """Events of inotify(7), those we watch for."""

    MODIFY = 0x2
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200


def inotify_init1(flags: int = os.O_CLOEXEC) -> int:
    """A new inotify descriptor, readable when something has happened.

    Raises:
        SyscallError: EMFILE, also when this user has too many (fs.inotify.max_user_instances).

    See: inotify_init1(2)
    """
    fd = _inotify_init1(flags)
    if fd < 0:
        raise syscall_error("inotify_init1", flags)
    return fd


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watches a file or directory.

    Args:
        fd: Of `inotify_init1`.
        path: What to watch.
        mask: `IN`.

    Raises:
        SyscallError: ENOENT, EACCES, ENOSPC (too many watches).

    See: inotify_add_watch(2)
    """
    watch = _inotify_add_watch(fd, encode(path), mask)
    if watch < 0:
        raise syscall_error("inotify_add_watch", fd, path, IN(mask))
    return watch
