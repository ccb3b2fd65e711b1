"""Locks that belong to an open file and are gone with it, and that can be asked about without being taken."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import time

# struct flock of the 64-bit architectures: l_type, l_whence, l_start, l_len, l_pid
_FLOCK = struct.Struct("hhqqi4x")
_WHOLE_FILE = (os.SEEK_SET, 0, 0, 0)
_PAUSE_MS = 10


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the write lock of an open file description, without waiting, or turn the lock that it has into that.

    Args:
        fd: Opened for reading and writing. Copies of the descriptor, also in forked children, share the lock.
        shared: Take the read lock, which several can have.

    Returns:
        False when another open file description has one that is in the way.

    See: F_OFD_SETLK(2const)
    """
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, *_WHOLE_FILE))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def is_locked(fd: int, *, against_readers: bool = True) -> bool:
    """Whether another open file description has the lock; takes nothing itself.

    Args:
        fd: Of the file.
        against_readers: A read lock counts too.

    See: F_OFD_GETLK(2const)
    """
    kind = fcntl.F_WRLCK if against_readers else fcntl.F_RDLCK
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(kind, *_WHOLE_FILE))
    held: int = _FLOCK.unpack(answer)[0]
    return held != fcntl.F_UNLCK


def lock_until(fd: int, deadline: float) -> bool:
    """Take the write lock of an open file description, waiting for whoever has it, but not for ever.

    Args:
        fd: As for `try_lock`.
        deadline: On the clock of ``time.monotonic()``.

    Returns:
        False when another open file description has it still.
    """
    pause = select.poll()
    while not try_lock(fd):
        if time.monotonic() >= deadline:
            return False
        pause.poll(_PAUSE_MS)
    return True


def path_is_locked(path: str, *, against_readers: bool = True) -> bool:
    """As `is_locked`, of a file that is no link; false when it cannot be opened."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return is_locked(fd, against_readers=against_readers)
    finally:
        os.close(fd)
