"""Who may touch the place where a root file system lies: who could exchange it, and who is changing it right now."""

from __future__ import annotations

import os
import stat

from haconiwa.host.paths import fault_of
from haconiwa.kernel.locks import path_is_locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BESIDE = ("haconiwa.json", "haconiwa.lock", "layers", "partial")
"""What ends the names of all that belongs to a root and lies beside it."""
_MOST_LINKS = 40  # as path_resolution(7) has it; whoever opens a path with more is told


def beside(root: str, word: str) -> str:
    """Where something that belongs to a root file system lies: beside it, never in it.

    Args:
        root: Absolute host path, links resolved.
        word: One of `_BESIDE`.
    """
    parent, name = os.path.split(root)
    return os.path.join(parent, f".{name}.{word}")


def lock_path(root: str) -> str:
    """The file that is locked by who makes, changes or removes a root; by who only reads it, for reading.

    Args:
        root: Absolute host path, links resolved.
    """
    return beside(root, "haconiwa.lock")


def is_being_changed(root: str) -> bool:
    """Whether somebody makes, changes or removes it. They see a container that is recorded before it asks.

    Args:
        root: Absolute host path.
    """
    return path_is_locked(lock_path(os.path.realpath(root)), against_readers=False)


def root_fault(path: str, trusted_uids: tuple[int, ...] = ()) -> tuple[str, str] | None:
    """How others could lead the host's root to another directory than it thinks, and what would mend it.

    Every folder on the way counts, also to a link and behind it. In one that is sticky others can exchange nothing of
    root's, but they may have been the first to make the link, or what lies beside the root.

    Args:
        path: Absolute host path, which need not be there yet.
        trusted_uids: Who may do so besides root.

    Returns:
        None when nobody can. An ordinary user works with its own rights.
    """
    if os.geteuid() != 0 or os.stat("/").st_uid != 0:
        return None
    for folder, status, name, leads_on in _walk(path):
        if fault := fault_of(folder, status, trusted_uids):
            return fault
        entry = os.path.join(folder, name)
        entries = [entry] if leads_on else [entry, *(beside(entry, word) for word in _BESIDE)]
        for each in entries if status.st_mode & stat.S_ISVTX else ():
            if why := strange_owner(each, trusted_uids):
                return why, "remove it"
    return None


def strange_owner(path: str, trusted_uids: tuple[int, ...] = ()) -> str:
    """What says that somebody else was the first to make something in a folder where everybody may; else empty.

    Args:
        path: Host path, whose last part may be a link, or not there.
        trusted_uids: Whose it may be besides root's and the caller's.
    """
    try:
        owner = os.lstat(path).st_uid
    except FileNotFoundError:
        return ""
    if owner in (0, os.geteuid(), *trusted_uids) or not os.stat(os.path.dirname(path)).st_mode & stat.S_ISVTX:
        return ""
    return f'"{path}" belongs to user {owner}, not to root or to you'


def _walk(path: str) -> Iterator[tuple[str, os.stat_result, str, bool]]:
    """Each folder on the way to what a path leads to, the name that is looked up in it, and whether it leads on."""
    folder, status = "/", os.stat("/")
    rest, links = _parts(path), 0
    while rest and links <= _MOST_LINKS:
        name = rest.pop(0)
        entry = os.path.dirname(folder) if name == ".." else os.path.join(folder, name)
        try:
            entry_status = os.lstat(entry)
        except (FileNotFoundError, NotADirectoryError):
            yield folder, status, name, bool(rest)
            return
        is_link = stat.S_ISLNK(entry_status.st_mode)
        yield folder, status, name, bool(rest) or is_link
        if not is_link:
            folder, status = entry, entry_status
            continue
        links += 1
        target = os.readlink(entry)
        rest = _parts(target) + rest
        if target.startswith("/"):
            folder, status = "/", os.stat("/")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
