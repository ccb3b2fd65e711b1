"""Writing beside a path, in a folder that nobody else can change, and renaming: there is a whole result or none.

Who is at work in such a folder holds its lock, so what somebody who was killed has left is known.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from haconiwa.errors import BuildError
from haconiwa.host.paths import fault_of
from haconiwa.host.tree import empty_directory

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"\.haconiwa-[0-9a-f]{24}")


class Beside:
    """A private folder beside a path.

    It is worked in by its descriptor: whoever owns the folder above can move it, but not lead us elsewhere.

    Attributes:
        NAME: What the result is called in there until it is complete.
        fd: The private folder.
    """

    NAME = "new"

    def __init__(self, path: str, parent_fd: int, fd: int) -> None:
        self.fd = fd
        self._path = path
        self._parent_fd = parent_fd

    @property
    def path(self) -> str:
        """Where the result is to be made; only in this process."""
        return f"/proc/self/fd/{self.fd}/{self.NAME}"

    def settle(self) -> None:
        """Rename the result to its path, in the place of what is there.

        Raises:
            OSError: With the path.
        """
        try:
            os.rename(self.NAME, os.path.basename(self._path), src_dir_fd=self.fd, dst_dir_fd=self._parent_fd)
        except OSError as error:
            error.filename, error.filename2 = self._path, None
            raise


@contextmanager
def beside(path: str, trusted_uids: tuple[int, ...] = ()) -> Iterator[Beside]:
    """Make a private folder beside a path; it and what is left in it are removed at the end.

    Args:
        path: Absolute host path. The folder that it is in is opened once; it may belong to anybody.
        trusted_uids: Who may own the private folder besides the caller, where a file system gives all to one user.

    Raises:
        BuildError: Somebody has put something else in the place of the private folder, or could.
        OSError: The folder cannot be made.
    """
    parent_fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    owners = (os.geteuid(), *trusted_uids)
    try:
        if not fault_of("", os.fstat(parent_fd), trusted_uids):  # where nobody gives a folder of ours such a name
            _clear_abandoned(parent_fd, owners)
        name = f".haconiwa-{os.urandom(12).hex()}"
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        try:
            fd = _open_new(path, name, parent_fd, owners)
            try:
                yield Beside(path, parent_fd, fd)
            finally:
                try:
                    empty_directory(fd)
                finally:
                    os.close(fd)
        finally:
            with suppress(OSError):  # only an empty directory goes, whoever has put it there
                os.rmdir(name, dir_fd=parent_fd)
    finally:
        os.close(parent_fd)


def _open_new(path: str, name: str, parent_fd: int, owners: Collection[int]) -> int:
    """Open the folder that was just made; what others have exchanged it for is neither written to nor emptied."""
    what, why, hint = f'cannot write "{path}"', "somebody else changes the folder that it is in", ""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=parent_fd)
    except OSError:
        raise BuildError(what, why=why) from None
    if fault := _fault(os.fstat(fd), owners):
        why = f"{fault}: the file system keeps no owners and modes, or {why}"
        hint = "write to a file system that keeps them, or set trusted_uids in the global config"
    elif not os.listdir(fd):
        with suppress(OSError):  # where the file system has no locks, nobody takes it for abandoned either
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    os.close(fd)
    raise BuildError(what, why=why, hint=hint)


def _fault(status: os.stat_result, owners: Collection[int]) -> str:
    """How others could change what is in a folder; that they can read it does no harm."""
    if status.st_uid not in owners:
        return f"what is made there belongs to user {status.st_uid}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write to what is made there (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _clear_abandoned(parent_fd: int, owners: Collection[int]) -> None:
    """Remove such folders whose makers were killed."""
    for name in filter(_NAME.fullmatch, os.listdir(parent_fd)):
        with suppress(OSError):
            fd = os.open(name, _DIRECTORY, dir_fd=parent_fd)
            try:
                if os.fstat(fd).st_uid in owners and os.listdir(fd):  # one that was just made is empty, not locked yet
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    empty_directory(fd)
                    os.rmdir(name, dir_fd=parent_fd)
            finally:
                os.close(fd)
