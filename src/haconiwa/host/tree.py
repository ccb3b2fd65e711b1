"""Removing a tree of files whose content may be hostile: no link is followed and no mount is crossed."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

from haconiwa.errors import BuildError, describe_errno
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
    what an interrupted removal leaves is a wreck that nobody takes for the tree.

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
    _empty_one(top_fd, top_fd, waiting := deque[str]())
    while waiting:
        name = waiting.popleft()
        fd = openat2(top_fd, name, _DIRECTORY, resolve=_STAY)
        try:
            _empty_one(fd, top_fd, waiting)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top_fd)


def _empty_one(fd: int, top_fd: int, waiting: deque[str]) -> None:
    """Remove what is in one directory; subdirectories that hold something are moved to the top and wait there."""
    for name in os.listdir(fd):
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=fd)
            continue
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            waiting.append(_move_up(name, fd, top_fd))


def _move_up(name: str, fd: int, top_fd: int) -> str:
    """Give a directory a name in the top one that nothing there can have."""
    unique = f".haconiwa-{os.urandom(12).hex()}"
    os.rename(name, unique, src_dir_fd=fd, dst_dir_fd=top_fd)
    return unique
