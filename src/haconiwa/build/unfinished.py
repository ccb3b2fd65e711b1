"""Folders beside what is kept, for what is not finished yet. Who is at work in one holds its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from haconiwa.errors import BuildError
from haconiwa.host.tree import remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

NEW = ".new-"
"""What their names begin with; nobody looks in there."""


@contextmanager
def unfinished(parent: str, name: str) -> Iterator[str]:
    """A private folder for a while, on the same file system as its parent; it may be renamed when it is complete.

    Args:
        parent: Host path, made if it is missing; what others who were killed have left in there is removed.
        name: What is being made.
    """
    os.makedirs(parent, 0o700, exist_ok=True)
    folder = os.path.join(parent, f"{NEW}{name}-{os.getpid()}")
    with _nobody_else_in(parent):
        _clear_abandoned(parent)
        fd = _make_locked(folder)
    try:
        yield folder
    finally:
        os.close(fd)
        remove_tree(folder)


def _make_locked(folder: str) -> int:
    """Make a folder; the descriptor that holds its lock."""
    os.mkdir(folder, 0o700)
    fd = os.open(folder, _DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def clear_abandoned(parent: str) -> None:
    """Remove such folders whose makers were killed."""
    if os.path.isdir(parent):
        with _nobody_else_in(parent):
            _clear_abandoned(parent)


@contextmanager
def _nobody_else_in(parent: str) -> Iterator[None]:
    """Let nobody else make or clear away such folders: one that was just made is not locked yet."""
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _clear_abandoned(parent: str) -> None:
    for name in os.listdir(parent):
        if not name.startswith(NEW):
            continue
        path = os.path.join(parent, name)
        with suppress(OSError, BuildError):
            fd = os.open(path, _DIRECTORY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
            finally:
                os.close(fd)
