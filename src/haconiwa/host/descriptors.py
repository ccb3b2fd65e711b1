"""Small things one does with file descriptors."""

from __future__ import annotations

import os

from haconiwa.kernel.files import CLOSE_RANGE, MAX_FD, close_range

_inherited: dict[int, os.stat_result] = {}
"""What the caller has left open to this process beside the standard streams, by number."""


def guard_inherited() -> None:
    """Let nothing that is open by now above 2 be passed on to programs, and remember what of it is the caller's."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        numbers = []  # nothing can be started without procfs
    for fd in numbers:
        try:
            if fd > 2 and os.get_inheritable(fd):
                _inherited[fd] = os.fstat(fd)
        except OSError:
            pass  # the folder that was listed
    close_range(3, MAX_FD, CLOSE_RANGE.CLOEXEC)


def close_inherited() -> None:
    """Close what the caller has left open: a lock or pipe of its is not held for as long as a daemon lives.

    What the haco file has opened stays, also with a number that it has got from closing one of the caller's.
    """
    for fd, status in _inherited.items():
        try:
            if os.path.samestat(os.fstat(fd), status):
                os.close(fd)
        except OSError:
            pass  # the haco file has closed it


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
