"""Small things one does with file descriptors."""

from __future__ import annotations

import os

from haconiwa.kernel.files import close_range


def write_all(fd: int, data: bytes) -> None:
    """Write everything; a reader that is gone is no reason to end."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass


def write_beside(path: str, text: str) -> None:
    """Write a file of mode 0600 whole or not at all."""
    temporary = f"{path}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(temporary, flags, 0o600)
    try:
        data = text.encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
    os.rename(temporary, path)


def is_at(fd: int, path: str) -> bool:
    """Whether a path still leads to an open file: others may have removed, moved or replaced it."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def memory_file(content: bytes) -> int:
    """A descriptor that reads as `content`, with no file and no writer that could block.

    Raises:
        OSError: There is no memory or no descriptor left.
    """
    fd = os.memfd_create("haconiwa", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor but some."""
    first = 0
    for fd in sorted(kept):
        if first < fd:
            os.closerange(first, fd)
        first = fd + 1
    close_range(first)
