"""Removing a root file system."""

from __future__ import annotations

import os
from contextlib import suppress

from haconiwa.build.failures import subject_of
from haconiwa.build.marker import own_marker, remove_marker
from haconiwa.build.place import Place, locked
from haconiwa.errors import BuildError
from haconiwa.host.layers import layers_folder
from haconiwa.host.paths import cache_dir, lib_dir, log_dir, run_dir
from haconiwa.host.subvolumes import make_writable
from haconiwa.host.tree import mounts_below, remove_tree
from haconiwa.lifecycle.damaged import damaged_in_use
from haconiwa.lifecycle.state import list_states, live_status

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr")
_OF_VAR = ("backups", "cache", "lib", "local", "log", "mail", "opt", "spool", "tmp")
_FEWEST_PARTS = 2


def remove(path: str, *, force: bool, trusted_uids: tuple[int, ...] = ()) -> None:
    """Remove a root file system and what is recorded about it, never crossing a mount or following a link.

    Args:
        path: Absolute host path of the root.
        force: Also a directory that haconiwa has not made.
        trusted_uids: Who may own folders above it, besides root.

    Raises:
        BuildError: It is in use, not ours, or a directory of the system, or something is mounted below.
    """
    place = Place(path, trusted_uids)
    _refuse_system(place.root)
    if not os.path.isdir(place.parent):
        return
    with subject_of("", place.root), locked(place):
        if os.path.lexists(place.root) and not force and own_marker(place) is None:
            hint = "use --force if you are sure"
            raise BuildError(f'cannot remove "{place.root}"', why="it was not made by haconiwa", hint=hint)
        discard(place)


def _refuse_system(root: str) -> None:
    """Refuse what nobody can mean."""
    kept = [os.path.realpath(path) for path in _kept_folders()]
    below_system = any(root == path or root.startswith(path + "/") for path in _SYSTEM)
    above_kept = any(path == root or path.startswith(root.rstrip("/") + "/") for path in kept)
    of_var = root in [f"/var/{name}" for name in _OF_VAR]  # whatever the environment says where haconiwa keeps things
    if below_system or above_kept or of_var or len(root.strip("/").split("/")) < _FEWEST_PARTS:
        raise BuildError(f'cannot remove "{root}"', why="the system needs it, or you are in it")


def _kept_folders() -> tuple[str, ...]:
    home = os.environ.get("HOME", "")
    own = (home,) if home.startswith("/") else ()
    return (os.readlink("/proc/self/cwd"), lib_dir(), run_dir(), log_dir(), cache_dir(), "/root", "/var/lib", *own)


def discard(place: Place) -> None:
    """Remove a root and all that belongs to it; the caller holds the lock.

    The root is moved out of its place first, so that an interrupted removal leaves nothing that looks complete.

    Raises:
        BuildError: It is in use, or something is mounted below.
    """
    refuse_used(place, "remove")
    if points := mounts_below(place.root):
        raise BuildError(f'cannot remove "{place.root}"', why=f'something is mounted on "{points[0]}"')
    remove_tree(place.partial)
    if os.path.lexists(place.root):
        os.mkdir(place.partial, 0o700)
        _let_move(place.root)
        os.rename(place.root, place.partial_root)
    remove_marker(place)
    remove_tree(place.partial)
    remove_tree(layers_folder(place.root))


def _let_move(root: str) -> None:
    """Give up that a subvolume is read-only; a process in the container may have marked it so."""
    with suppress(NotADirectoryError):
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            make_writable(fd)
        finally:
            os.close(fd)


def refuse_used(place: Place, verb: str) -> None:
    """Refuse to do something to a root while a container runs in it.

    Raises:
        BuildError: One does, or one whose record cannot be read may.
    """
    if unknown := damaged_in_use():
        why = f'the container "{unknown[0].subject}" may run in it: {unknown[0]}'
        raise BuildError(f'cannot {verb} "{place.root}"', why=why, hint=f"haconiwa stop {unknown[0].subject}")
    users = [state.name for state in list_states() if live_status(state) != "stopped" and _uses(state.root, place)]
    if users:
        why, hint = f'the container "{users[0]}" runs in it', f"haconiwa stop {users[0]}"
        raise BuildError(f'cannot {verb} "{place.root}"', why=why, hint=hint)


def _uses(root: str, place: Place) -> bool:
    return os.path.realpath(root) == place.root
