"""What a layer changes in the root below it.

Whoever was in the container has chosen how deep its directories are, how long their names and how many: only names of
directories between the top and the one that is looked at are kept, and only that one is open.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import suppress

from haconiwa.errors import BuildError, describe_errno
from haconiwa.kernel.files import RESOLVE, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STAY = RESOLVE.IN_ROOT | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV
_LONGEST_PATH = 1 << 16  # in characters; sixteen times what the kernel takes at once

_Entry = tuple[str, str, bool]
"""A name, and the letter of its change; or a name with a slash, where its content comes in order, and whether the root
has such a directory too."""


def compare(upper: str, lower: str, opaque: str) -> Iterator[tuple[str, str]]:
    """Compare a layer with the root below it.

    Args:
        upper: Host path of the layer's directory.
        lower: Host path of the root.
        opaque: The extended attribute that says of a directory that nothing of the one below shows in it.

    Yields:
        A letter and a path as seen inside, in order of the paths: A for what is new, C for what is changed or whose
        owner or mode is, D for what is gone, with all that was below.

    Raises:
        BuildError: Something cannot be read, or is moved meanwhile; or, at the end, there are paths that are too long.
    """
    try:
        with _Position(upper) as upper_at, _Position(lower) as lower_at:
            left_out = yield from _walk(upper_at, lower_at, opaque)
    except OSError as error:
        raise BuildError(f'cannot tell what is changed in "{upper}"', why=describe_errno(error.errno or 0)) from None
    if left_out:
        why = f"directories whose paths have more than {_LONGEST_PATH} characters are left out"
        raise BuildError(f'cannot tell all that is changed in "{upper}"', why=why)


class _Position:
    """Where a walk is in a tree; only this directory is open.

    Attributes:
        fd: The directory.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self.fd = os.open(top, _DIRECTORY)
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> _Position:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.fd)

    def enter(self, name: str) -> None:
        """Go to a directory in this one."""
        above = _identity(self.fd)
        self._move(openat2(self.fd, name, _DIRECTORY, resolve=_STAY))
        self._above.append(above)

    def leave(self) -> None:
        """Go back to the directory above."""
        self._move(os.open("..", _DIRECTORY, dir_fd=self.fd))
        if _identity(self.fd) != self._above.pop():
            hint = "end what is at work there first: haconiwa stop"
            raise BuildError(f'cannot compare "{self._top}"', why="directories in it are being moved", hint=hint)

    def _move(self, fd: int) -> None:
        os.close(self.fd)
        self.fd = fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class _Level:
    """A directory that a walk is in or below.

    Attributes:
        has_lower: The root has it too.
        entries: What is to be told of it still.
    """

    def __init__(self, entries: list[_Entry], *, has_lower: bool) -> None:
        self.has_lower = has_lower
        self.entries = iter(sorted(entries))


def _walk(upper: _Position, lower: _Position, opaque: str) -> Generator[tuple[str, str], None, bool]:
    """Tell each change; the result is whether there are paths that are too long."""
    path, left_out = "", False
    levels = [_Level(_entries(upper.fd, lower.fd, opaque), has_lower=True)]
    while levels:
        for name, letter, has_lower in levels[-1].entries:
            if letter:
                yield letter, f"{path}/{name}"
            elif len(path) + len(name) > _LONGEST_PATH:
                left_out = True
            else:
                path = f"{path}/{name.rstrip('/')}"
                levels.append(_enter(name, upper, lower, opaque, has_lower=has_lower))
                break
        else:
            path = path.rpartition("/")[0]
            _leave(levels, upper, lower)
    return left_out


def _enter(name: str, upper: _Position, lower: _Position, opaque: str, *, has_lower: bool) -> _Level:
    upper.enter(name)
    if has_lower:
        lower.enter(name)
    return _Level(_entries(upper.fd, lower.fd if has_lower else -1, opaque), has_lower=has_lower)


def _leave(levels: list[_Level], upper: _Position, lower: _Position) -> None:
    level = levels.pop()
    if levels:
        upper.leave()
        if level.has_lower:
            lower.leave()


def _entries(upper_fd: int, lower_fd: int, opaque: str) -> list[_Entry]:
    """Compare a directory of the layer; `lower_fd` is the same directory of the root, -1 where there is none."""
    found: list[_Entry] = []
    names = os.listdir(upper_fd)
    if lower_fd >= 0 and _has_attribute(upper_fd, opaque):
        found += [(name, "D", False) for name in {*os.listdir(lower_fd)} - {*names}]
    for name in names:
        status = os.stat(name, dir_fd=upper_fd, follow_symlinks=False)
        below = _status_below(name, lower_fd)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # how the kernel marks what is gone
            found += [(name, "D", False)] if below else []
            continue
        if below is None:
            found.append((name, "A", False))
        elif not stat.S_ISDIR(status.st_mode) or _looks(status) != _looks(below):
            found.append((name, "C", False))
        if stat.S_ISDIR(status.st_mode):
            found.append((f"{name}/", "", below is not None and stat.S_ISDIR(below.st_mode)))
    return found


def _status_below(name: str, lower_fd: int) -> os.stat_result | None:
    if lower_fd < 0:
        return None
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=lower_fd, follow_symlinks=False)
    return None


def _looks(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def _has_attribute(fd: int, name: str) -> bool:
    try:
        return os.getxattr(fd, name) == b"y"
    except OSError:
        return False
