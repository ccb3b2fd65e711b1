"""Removing a tree of files whose content may be hostile: no link is followed and no mount is crossed."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.subvolumes import destroy, make_writable
from haconiwa.kernel.files import RESOLVE, openat2

_STAY = RESOLVE.NO_XDEV | RESOLVE.NO_SYMLINKS | RESOLVE.BENEATH
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def mounts_below(path: str) -> list[str]:
    """The mount points at a path and below, as this process sees them.

    Args:
        path: Absolute host path, links resolved.
    """
    with open("/proc/self/mountinfo", "rb") as lines:
        points = [_unescape(line.split(b" ")[4]) for line in lines]
    return [point for point in points if point == path or point.startswith(path.rstrip("/") + "/")]


def _unescape(field: bytes) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    for character in b" \t\n\\":
        field = field.replace(b"\\%03o" % character, bytes([character]))
    return os.fsdecode(field)


def remove_tree(path: str) -> None:
    """Remove a directory and all that is below.

    Directories that are not empty are first moved up to `path`, so neither depth nor length of paths is a limit;
    what an interrupted removal leaves is a wreck that nobody takes for the tree. A subvolume of btrfs goes in one step
    where the kernel allows it.

    Args:
        path: Absolute host path; missing is fine.

    Raises:
        BuildError: Something is mounted below, or the kernel refuses to remove a file.
    """
    if points := mounts_below(path):
        raise BuildError(f'cannot remove "{path}"', why=f'something is mounted on "{points[0]}"')
    try:
        top_fd = os.open(path, _DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BuildError(f'cannot remove "{path}"', why=describe_errno(error.errno or 0)) from None
    try:
        empty_directory(top_fd)
        os.rmdir(path)
    except OSError as error:
        what = f'cannot remove "{error.filename or path}" of "{path}"'
        raise BuildError(what, why=describe_errno(error.errno or 0)) from None
    finally:
        os.close(top_fd)


def empty_directory(top_fd: int) -> None:
    """Remove all that is in an open directory; no link is followed and no mount crossed.

    Raises:
        OSError: Something cannot be removed.
    """
    _empty_volume(top_fd, top_fd, volumes := deque[str]())
    while volumes:
        name = volumes.popleft()
        fd = openat2(top_fd, name, _DIRECTORY, resolve=_STAY)
        try:
            _empty_volume(fd, top_fd, volumes)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top_fd)


def _empty_volume(volume_fd: int, top_fd: int, volumes: deque[str]) -> None:
    """Empty a directory that is all of one subvolume: nothing but a subvolume can be moved out of another one.

    Args:
        volume_fd: The directory.
        top_fd: Where subvolumes that are found in it are moved to.
        volumes: Their names there are added to this.
    """
    _empty_one(volume_fd, volume_fd, top_fd, waiting := deque[str](), volumes)
    while waiting:
        name = waiting.popleft()
        fd = openat2(volume_fd, name, _DIRECTORY, resolve=_STAY)
        try:
            _empty_one(fd, volume_fd, top_fd, waiting, volumes)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=volume_fd)


def _empty_one(fd: int, volume_fd: int, top_fd: int, waiting: deque[str], volumes: deque[str]) -> None:
    """Remove what is in one directory; subdirectories that hold something are moved up and wait there."""
    device = os.fstat(volume_fd).st_dev
    for name in os.listdir(fd):
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=fd)
            continue
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if status.st_dev == device:
                waiting.append(_move_up(name, fd, volume_fd))
            elif not destroy(fd, name):
                _let_move(name, fd)
                volumes.append(_move_up(name, fd, top_fd))


def _let_move(name: str, fd: int) -> None:
    """Give up that a subvolume is read-only: it could be neither moved nor emptied."""
    inner_fd = openat2(fd, name, _DIRECTORY, resolve=_STAY)
    try:
        make_writable(inner_fd)
    finally:
        os.close(inner_fd)


def _move_up(name: str, fd: int, top_fd: int) -> str:
    """Give a directory a name in the top one that nothing there can have."""
    unique = f".haconiwa-{os.urandom(12).hex()}"
    os.rename(name, unique, src_dir_fd=fd, dst_dir_fd=top_fd)
    return unique
