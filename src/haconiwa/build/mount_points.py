"""The mount points that provisioning makes in a root, taken back where the root is not ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from haconiwa.isolation.confined import open_inside

_POINTS = ("proc", "sys", "dev", "tmp", "etc/resolv.conf", "etc/hosts", "etc")


@contextmanager
def unmade_on_failure(root: str) -> Iterator[None]:
    """Remove what is empty of the mount points that were not there before, when something fails.

    Args:
        root: Host path of the root. What is in it may be hostile: no link in it is followed to the outside.
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        missing = [path for path in _POINTS if not _exists(root_fd, path)]
        try:
            yield
        except BaseException:
            for path in missing:
                with suppress(OSError):
                    _remove_empty(root_fd, path)
            raise
    finally:
        os.close(root_fd)


def _exists(root_fd: int, path: str) -> bool:
    try:
        os.close(open_inside(root_fd, path, os.O_PATH | os.O_NOFOLLOW))
    except FileNotFoundError:
        return False
    except OSError:
        pass  # whatever it is, it was not made here
    return True


def _remove_empty(root_fd: int, path: str) -> None:
    parent, name = os.path.split(path)
    parent_fd = open_inside(root_fd, parent or "/", os.O_PATH | os.O_DIRECTORY)
    try:
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=parent_fd)
        elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
            os.unlink(name, dir_fd=parent_fd)
    finally:
        os.close(parent_fd)
