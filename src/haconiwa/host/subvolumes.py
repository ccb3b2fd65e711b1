"""Directories that are subvolumes of btrfs: copied and removed in one step, whatever is in them.

What is within may be hostile: a process in a container can make subvolumes in its root, and mark them read-only.
"""

from __future__ import annotations

import errno
import os

from haconiwa.kernel.btrfs import (
    BTRFS_FIRST_FREE_OBJECTID,
    BTRFS_SUBVOL,
    count_subvolumes_within,
    get_subvol_flags,
    set_subvol_flags,
    snap_create,
    snap_destroy,
    subvol_create,
)
from haconiwa.kernel.files import BTRFS_SUPER_MAGIC, fstatfs

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IMPOSSIBLE = (errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM, errno.EROFS)


def make_directory(path: str) -> bool:
    """Make a directory, on btrfs a subvolume, so that `snapshot` can copy it; whether it is one.

    Args:
        path: Absolute host path; nothing is there.
    """
    parent, name = os.path.split(path)
    fd = os.open(parent, _DIRECTORY)
    try:
        if fstatfs(fd) == BTRFS_SUPER_MAGIC:
            subvol_create(fd, name)
            return True
    except OSError as error:
        if error.errno not in _IMPOSSIBLE:
            raise
    finally:
        os.close(fd)
    os.mkdir(path)
    return False


def snapshot(source: str, target: str) -> bool:
    """Copy a subvolume in one step; whether that was possible.

    It is not where there are subvolumes within, because a snapshot would lack what is in them.

    Args:
        source: Absolute host path of the top directory.
        target: Absolute host path; nothing is there.

    Raises:
        OSError: ENOSPC, EIO: copying in another way would not work either.
    """
    parent, name = os.path.split(target)
    fds = [os.open(path, _DIRECTORY) for path in (source, parent)]
    try:
        if not is_subvolume(fds[0]) or count_subvolumes_within(fds[0]):
            return False
        snap_create(fds[1], name, fds[0])
    except OSError as error:
        if error.errno not in (*_IMPOSSIBLE, errno.EOVERFLOW):
            raise
        return False
    finally:
        for fd in fds:
            os.close(fd)
    return True


def is_subvolume(fd: int) -> bool:
    """Whether an open directory is the top one of a subvolume."""
    return os.fstat(fd).st_ino == BTRFS_FIRST_FREE_OBJECTID and fstatfs(fd) == BTRFS_SUPER_MAGIC


def make_writable(fd: int) -> None:
    """Let a subvolume be changed and moved again that was marked read-only; another directory stays as it is.

    Args:
        fd: Its top directory.
    """
    if is_subvolume(fd):
        flags = get_subvol_flags(fd)
        if flags & BTRFS_SUBVOL.RDONLY:
            set_subvol_flags(fd, flags & ~BTRFS_SUBVOL.RDONLY)


def destroy(parent_fd: int, name: str) -> bool:
    """Remove a subvolume and what is in it in one step; whether that was possible."""
    try:
        snap_destroy(parent_fd, name)
    except OSError as error:
        if error.errno not in (*_IMPOSSIBLE, errno.ENOTEMPTY):
            raise
        return False
    return True
