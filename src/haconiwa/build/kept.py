"""Root file systems that are kept for the next container of the same recipe.

ROOTS/KEY/rootfs        the root
ROOTS/KEY/entry.json    what is known about it
ROOTS/KEY/users/…       links to the roots that lie over it as a layer
ROOTS/.new-…            one that is being copied; nobody looks in there

Who takes one holds a shared lock of its folder, who removes it an exclusive one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType

from haconiwa.build.copies import copy_tree
from haconiwa.build.place import Place
from haconiwa.build.report import Report
from haconiwa.build.unfinished import NEW, unfinished
from haconiwa.errors import HaconiwaError, describe_errno
from haconiwa.host.image_record import parse_image, read_json
from haconiwa.host.layers import base_link, lower_of
from haconiwa.host.paths import cache_dir
from haconiwa.host.tree import remove_tree
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.record import Record, to_plain

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Kept(Record):
    """What is known about a root that is kept.

    Attributes:
        folder: Of the entry.
        name: The container that it was first made for.
        strategy: What it was made with.
        size: In bytes, as it takes room on the disk.
        image: What an image said about running it.
        steps: The provisioning steps that have run, each with its digest.
    """

    folder: str
    name: str
    strategy: str
    size: int = 0
    image: ImageSpec | None = None
    steps: Mapping[str, str] = MappingProxyType({})

    @property
    def root(self) -> str:
        """Host path of the root."""
        return os.path.join(self.folder, "rootfs")


def roots_dir() -> str:
    """Where they are kept."""
    return os.path.join(cache_dir(), "roots")


def read_kept(folder: str) -> Kept | None:
    """What is known about the root in a folder; None when it cannot be used."""
    content = read_json(os.path.join(folder, "entry.json"))
    if not isinstance(content, dict) or not os.path.isdir(os.path.join(folder, "rootfs")):
        return None
    return Kept(
        folder=folder,
        name=str(content.get("name")),
        strategy=str(content.get("strategy")),
        size=int(content.get("size", 0)),
        image=parse_image(content.get("image")),
        steps=dict(content.get("steps", {})),
    )


@contextmanager
def taken(key: str) -> Iterator[Kept | None]:
    """Hold the root that is kept under a key, if there is one; its age begins again.

    Args:
        key: May be empty.
    """
    folder = os.path.join(roots_dir(), key)
    try:
        fd = os.open(folder, _DIRECTORY) if key else -1  # whoever makes a new one has the lock of the parent
    except FileNotFoundError:
        fd = -1
    if fd < 0:
        yield None
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        kept = read_kept(folder)
        if kept:
            os.utime(fd)
        yield kept
    finally:
        os.close(fd)


def keep(key: str, kept: Kept, root: str, report: Report) -> None:
    """Copy a root to where it is kept, in the place of what is there. A failure is only told.

    Args:
        key: As from `haconiwa.build.recipe`.
        kept: What is known about it; folder and size are not.
        root: Absolute host path of the root, which nobody changes meanwhile.
        report: Is told what happens.
    """
    report.aside("Keeping a copy for the next container of this recipe...")
    try:
        _copy(key, kept, root, report)
    except (OSError, HaconiwaError) as error:
        why = describe_errno(error.errno or 0) if isinstance(error, OSError) else str(error)
        report.step(f"It is not kept: {why}")


def _copy(key: str, kept: Kept, root: str, report: Report) -> None:
    with unfinished(roots_dir(), key) as folder:
        copy_tree(root, os.path.join(folder, "rootfs"), report)
        os.mkdir(os.path.join(folder, "users"))
        _write_entry(folder, kept)
        _replace(folder, os.path.join(roots_dir(), key))


def _write_entry(folder: str, kept: Kept) -> None:
    content = {
        "name": kept.name,
        "strategy": kept.strategy,
        "size": disk_usage(os.path.join(folder, "rootfs")),
        "image": to_plain(kept.image),
        "steps": dict(kept.steps),
    }
    with open(os.path.join(folder, "entry.json"), "x", encoding="utf-8") as file:
        json.dump(content, file)


def _replace(folder: str, final: str) -> None:
    """Rename to the final place; what others lie over stays as it is."""
    if os.path.isdir(final) and not discard(final):
        return
    os.rename(folder, final)


def discard(folder: str) -> bool:
    """Remove a root that is kept, unless it is in use; whether it is gone."""
    try:
        fd = os.open(folder, _DIRECTORY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if users_of(folder):
            return False
        beside = os.path.join(roots_dir(), f"{NEW}old-{os.path.basename(folder)}-{os.getpid()}")
        os.rename(folder, beside)
        remove_tree(beside)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def users_of(folder: str) -> list[str]:
    """The roots that lie over a root that is kept; those that do no more are forgotten."""
    users = os.path.join(folder, "users")
    found = []
    for name in os.listdir(users) if os.path.isdir(users) else ():
        root = os.readlink(os.path.join(users, name))
        if os.path.isdir(root) and lower_of(root) == os.path.join(folder, "rootfs"):
            found.append(root)
        else:
            os.unlink(os.path.join(users, name))
    return sorted(found)


def lie_over(kept: Kept, place: Place) -> None:
    """Make an empty root that lies over a root that is kept: nothing is copied.

    Args:
        kept: What `taken` gave.
        place: Of the root, which is made as the partial one.
    """
    status = os.stat(kept.root)
    os.mkdir(place.partial_root)
    os.chown(place.partial_root, status.st_uid, status.st_gid)
    os.chmod(place.partial_root, status.st_mode & 0o7777)
    user = os.path.join(kept.folder, "users", place.root.replace("/", "\\"))
    with suppress(FileExistsError):
        os.symlink(place.root, user)
    link = base_link(place.root)
    os.makedirs(os.path.dirname(link), 0o700, exist_ok=True)
    os.symlink(kept.root, link)


def disk_usage(path: str) -> int:
    """The room that a tree of files takes, in bytes; names that are links to one file count once.

    What is gone by now, or has a longer path than the kernel takes, does not count.
    """
    seen: set[tuple[int, int]] = set()
    size = 0
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            with suppress(OSError):
                status = os.lstat(os.path.join(folder, name))
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    size += status.st_blocks * 512
    return size
