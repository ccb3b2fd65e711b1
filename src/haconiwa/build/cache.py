"""All that building keeps because it could be needed again: a list, and removing what nobody has used for long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from haconiwa.build.download import downloads_dir
from haconiwa.build.kept import discard, disk_usage, read_kept, roots_dir, users_of
from haconiwa.build.provision import packages_dir
from haconiwa.build.strategies.oci import blobs_dir
from haconiwa.build.unfinished import clear_abandoned
from haconiwa.host.tree import remove_tree
from haconiwa.spec.record import Record


class Cached(Record):
    """One thing that is kept.

    Attributes:
        kind: ``root`` (a root file system), ``download``, ``layer`` (of an image) or ``packages``.
        name: What it is, for people.
        path: Host path.
        size: The room that it takes on the disk, in bytes.
        used_at: When it was last used, in seconds since 1970.
        users: The root file systems that cannot do without it.
    """

    kind: str
    name: str
    path: str
    size: int
    used_at: float
    users: tuple[str, ...] = ()


def cached() -> list[Cached]:
    """Everything that is kept, what was used last first."""
    found = [*_roots(), *_files("download", downloads_dir()), *_files("layer", os.path.join(blobs_dir(), "sha256"))]
    return sorted([*found, *_packages()], key=lambda entry: -entry.used_at)


def unused(*, clear: bool = True) -> list[Cached]:
    """What no root file system lies over, so that it can go.

    Args:
        clear: First remove what is not finished and whose makers were killed: nobody can use it.
    """
    if clear:
        for folder in (roots_dir(), blobs_dir()):
            clear_abandoned(folder)
    return [entry for entry in cached() if not entry.users]


def remove_cached(entry: Cached) -> bool:
    """Remove one thing, unless it has come into use; whether it is gone.

    Raises:
        BuildError: The kernel refuses to remove a file.
    """
    if entry.kind == "root":
        return discard(entry.path)
    if entry.kind == "packages":
        remove_tree(entry.path)
        return True
    with suppress(FileNotFoundError):
        os.unlink(entry.path)
    return True


def _roots() -> Iterator[Cached]:
    for name, path, status in _listed(roots_dir()):
        kept = None if name.startswith(".") else read_kept(path)
        if kept:
            users = tuple(users_of(path))
            shown = f"{kept.name} ({kept.strategy})"
            yield Cached(kind="root", name=shown, path=path, size=kept.size, used_at=status.st_mtime, users=users)


def _files(kind: str, folder: str) -> Iterator[Cached]:
    for name, path, status in _listed(folder):
        yield Cached(kind=kind, name=name[:12], path=path, size=status.st_blocks * 512, used_at=status.st_mtime)


def _packages() -> Iterator[Cached]:
    for name, path, status in _listed(packages_dir()):
        times = [inner.st_mtime for _, _, inner in _listed(path)]
        used_at = max([status.st_mtime, *times])
        yield Cached(kind="packages", name=name, path=path, size=disk_usage(path), used_at=used_at)


def _listed(folder: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """The name, path and status of each entry of a folder, which may be missing."""
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):
                yield name, path, os.lstat(path)
