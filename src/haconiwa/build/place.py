"""The files around a root file system, and the lock that keeps two builds apart.

    NAME                    the root
    .NAME.haconiwa.json     how far it has been built, see `haconiwa.build.marker`
    .NAME.haconiwa.lock     held while it is built, provisioned, archived or removed
    .NAME.partial/rootfs    a root that is being built or removed

All are beside the root, never in it: what is in it belongs to the container.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.descriptors import is_at
from haconiwa.host.image_record import marker_path
from haconiwa.host.root_place import beside, lock_path, root_fault
from haconiwa.kernel.locks import try_lock


class Place:
    """The paths that belong to one root file system.

    Attributes:
        given: Absolute host path, as it was given.
        root: The same with links resolved.
        parent: The folder it is in.
        marker: How far it has been built.
        lock: The lock file.
        partial: The private folder for a root that is not complete.
        partial_root: The root in there.
        trusted_uids: Who may own folders above it, besides root.
    """

    def __init__(self, root: str, trusted_uids: tuple[int, ...] = ()) -> None:
        self.trusted_uids = trusted_uids
        self.given = root
        self.root = os.path.realpath(root)
        self.parent = os.path.dirname(self.root)
        self.marker = marker_path(self.root)
        self.lock = lock_path(self.root)
        self.partial = beside(self.root, "partial")
        self.partial_root = os.path.join(self.partial, "rootfs")


def refuse_open(place: Place) -> None:
    """Refuse to work on a root as root where others could lead us elsewhere.

    Raises:
        BuildError: Others own a folder on the way to it, or can write to one.
    """
    if fault := root_fault(place.given, place.trusted_uids):
        why, mend = fault
        hint = f"{mend}, or keep the root file system below folders that only root can write to"
        raise BuildError(f'cannot work on "{place.root}"', why=f"{why}, who could lead this elsewhere", hint=hint)


@contextmanager
def locked(place: Place, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a root; the folder above must exist.

    Args:
        place: Of the root.
        shared: The root is only read, which several may do at once, and containers may start meanwhile.

    Raises:
        BuildError: Somebody else holds it, the lock file cannot be made, or others could exchange a folder above.
    """
    refuse_open(place)
    try:
        fd = _acquire(place.lock, shared=shared)
    except BlockingIOError:
        why = "another haconiwa is building, provisioning or removing it"
        raise BuildError(f'cannot lock "{place.root}"', why=why) from None
    except OSError as error:
        raise BuildError(f'cannot lock "{place.root}"', why=describe_errno(error.errno or 0)) from None
    try:
        yield
    finally:
        try:
            if try_lock(fd) and is_at(fd, place.lock):  # otherwise another one reads still, or it is another one's
                os.unlink(place.lock)
        finally:
            os.close(fd)


def _acquire(path: str, *, shared: bool) -> int:
    """A lock on the file that has this path now: its last holder may have removed the one that was opened."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not try_lock(fd, shared=shared):
                raise BlockingIOError
            if is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
