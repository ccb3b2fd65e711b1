"""Writing beside a path, in a folder that nobody else can enter, and renaming: there is a whole result or none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from haconiwa.errors import BuildError
from haconiwa.host.tree import empty_directory

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
def beside(path: str) -> Iterator[Beside]:
    """Make a private folder beside a path; it and what is left in it are removed at the end.

    Args:
        path: Absolute host path. The folder that it is in is opened once; it may belong to anybody.

    Raises:
        BuildError: Somebody has put something else in the place of the private folder.
        OSError: The folder cannot be made.
    """
    parent_fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = f".haconiwa-{os.urandom(12).hex()}"
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        try:
            fd = _open_new(path, name, parent_fd)
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


def _open_new(path: str, name: str, parent_fd: int) -> int:
    """Open the folder that was just made; what others have exchanged it for is neither written to nor emptied."""
    why = "somebody else changes the folder that it is in"
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=parent_fd)
    except OSError:
        raise BuildError(f'cannot write "{path}"', why=why) from None
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077 or os.listdir(fd):
        os.close(fd)
        raise BuildError(f'cannot write "{path}"', why=why)
    return fd
