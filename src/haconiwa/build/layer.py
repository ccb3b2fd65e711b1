"""What a container has changed in its own layer, and folding it into a new root file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from haconiwa.build.copies import copy_files, copy_tree
from haconiwa.build.failures import subject_of
from haconiwa.build.marker import Marker, own_marker, sync_directory, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.build.remove import refuse_used
from haconiwa.build.report import Report
from haconiwa.errors import BuildError, ConfigError, Problem, describe_errno
from haconiwa.host.layers import drop_base, layer_folder, lower_of, upper_of
from haconiwa.host.tree import remove_tree
from haconiwa.isolation.overlay import mount_overlay
from haconiwa.kernel.files import RESOLVE, openat2
from haconiwa.kernel.mount import AT_FDCWD, MOUNT_ATTR, MOVE_MOUNT, move_mount
from haconiwa.kernel.rename import RENAME, renameat2
from haconiwa.spec.model import ContainerSpec

_OPAQUE, _OPAQUE_BY_USER = "trusted.overlay.opaque", "user.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STAY = RESOLVE.IN_ROOT | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV
_LONGEST_PART = 1000  # in characters, each of at most four bytes: PATH_MAX is 4096, and a name has at most 255


def changes(spec: ContainerSpec) -> Iterator[tuple[str, str]]:
    """What a container has changed, as pairs of a letter and a path as seen inside, in order of the paths.

    A: it is new. C: it is changed, or its owner or mode is. D: it is gone, with all that was below.

    Raises:
        ConfigError: The container has no layer of its own.
        BuildError: It cannot be read.
    """
    place, upper = _layer_of(spec)
    if not os.path.isdir(upper):
        return
    try:
        with _opened(upper) as upper_fd, _opened(lower_of(place.root)) as lower_fd:
            opaque = _OPAQUE_BY_USER if spec.unprivileged else _OPAQUE
            yield from sorted(_compare(upper_fd, lower_fd, opaque), key=lambda change: change[1])
    except OSError as error:
        why = describe_errno(error.errno or 0)
        raise BuildError(f'cannot tell what is changed in "{upper}"', why=why, subject=spec.name) from None


def _layer_of(spec: ContainerSpec) -> tuple[Place, str]:
    if spec.rootfs is None or not spec.rootfs.overlay:
        hint = "rootfs.overlay = True gives it one"
        raise ConfigError(
            Problem(f"{spec.name}: has no layer of its own", spec.rootfs.where if spec.rootfs else None, hint)
        )
    place = Place(spec.rootfs.path, spec.rootfs.trusted_uids)
    return place, upper_of(layer_folder(place.root, spec.name))


def _compare(top_upper_fd: int, top_lower_fd: int, opaque: str) -> Iterator[tuple[str, str]]:
    """Walk the layer and the root below it; no more than one directory of each is open, however deep they are.

    The extended attribute `opaque` says of a directory that nothing of the one below shows in it.
    """
    waiting = [("", True)]
    while waiting:
        path, has_lower = waiting.pop()
        with (
            _opened_below(top_upper_fd, path) as upper_fd,
            _opened_below(top_lower_fd, path) if has_lower else nullcontext(-1) as lower_fd,
        ):
            if lower_fd >= 0 and _has_attribute(upper_fd, opaque):
                yield from (("D", f"{path}/{name}") for name in {*os.listdir(lower_fd)} - {*os.listdir(upper_fd)})
            yield from _compare_one(upper_fd, lower_fd, path, waiting)


def _compare_one(upper_fd: int, lower_fd: int, path: str, waiting: list[tuple[str, bool]]) -> Iterator[tuple[str, str]]:
    """Compare a directory of the layer; `lower_fd` is the same directory of the root, -1 where there is none.

    The directories in it are added to `waiting`, each with whether the root has it too.
    """
    for name in os.listdir(upper_fd):
        shown = f"{path}/{name}"
        status = os.stat(name, dir_fd=upper_fd, follow_symlinks=False)
        below = _status_below(name, lower_fd)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # how the kernel marks what is gone
            yield from [("D", shown)] if below else []
            continue
        if below is None:
            yield "A", shown
        elif not stat.S_ISDIR(status.st_mode) or _looks(status) != _looks(below):
            yield "C", shown
        if stat.S_ISDIR(status.st_mode):
            waiting.append((shown, below is not None and stat.S_ISDIR(below.st_mode)))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened_below(top_fd: int, path: str) -> Iterator[int]:
    """Open a directory by its path from a top one, which may be longer than the kernel takes at once."""
    fd = os.dup(top_fd)
    try:
        for part in _parts(path):
            inner_fd = openat2(fd, part, _DIRECTORY, resolve=_STAY)
            os.close(fd)
            fd = inner_fd
        yield fd
    finally:
        os.close(fd)


def _parts(path: str) -> Iterator[str]:
    """A path in pieces that the kernel takes."""
    rest = path.strip("/")
    while len(rest) > _LONGEST_PART:
        end = rest.rindex("/", 0, _LONGEST_PART)
        yield rest[:end]
        rest = rest[end + 1 :]
    if rest:
        yield rest


def _status_below(name: str, lower_fd: int) -> os.stat_result | None:
    if lower_fd < 0:
        return None
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=lower_fd, follow_symlinks=False)
    return None


def _looks(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def _has_attribute(fd: int, name: str) -> bool:
    try:
        return os.getxattr(fd, name) == b"y"
    except OSError:
        return False


def commit(spec: ContainerSpec, report: Report) -> None:
    """Make a new root file system of a root and a container's layer, in the place of the old one; the layer is gone.

    It is made beside and exchanged in one step, so an interrupted commit leaves all as it was.

    Raises:
        ConfigError: The container has no layer of its own.
        BuildError: It has changed nothing, a container runs in the root, or the disk is full.
    """
    place, upper = _layer_of(spec)
    with subject_of(spec.name, place.root), locked(place):
        refuse_used(place, "commit to")
        if not os.path.isdir(upper) or not os.listdir(upper):
            raise BuildError("there is nothing to commit", subject=spec.name)
        remove_tree(place.partial)
        report.step(f"Committing what {spec.name} has changed to {place.root}...")
        try:
            _merge(place, os.path.dirname(upper), report, by_user=spec.unprivileged)
            _exchange(place, own_marker(place))
            remove_tree(os.path.dirname(upper))
        finally:
            remove_tree(place.partial)
    report.success("Success!")


def stand_alone(place: Place, report: Report) -> None:
    """Give a root that lies over one that is kept its own files; the caller holds the lock.

    Raises:
        BuildError: The disk is full, or a container runs in the root.
    """
    base = lower_of(place.root)
    if base == place.root:
        return
    refuse_used(place, "copy the files of")
    report.step(f"Copying the files of {place.root}...")
    remove_tree(place.partial)
    try:
        os.mkdir(place.partial, 0o700)
        copy_tree(base, place.partial_root, report)
        _exchange(place, own_marker(place))
    finally:
        remove_tree(place.partial)


def _merge(place: Place, folder: str, report: Report, *, by_user: bool) -> None:
    """Copy the root as the container sees it."""
    merged = os.path.join(place.partial, "merged")
    os.mkdir(place.partial, 0o700)
    os.mkdir(merged)

    def show() -> None:
        fd = mount_overlay(place.root, folder, MOUNT_ATTR.NODEV | MOUNT_ATTR.NOSUID, by_user=by_user)
        move_mount(fd, "", AT_FDCWD, merged, MOVE_MOUNT.F_EMPTY_PATH)

    copy_files(merged, place.partial_root, report, prepare=show)


def _exchange(place: Place, marker: Marker | None) -> None:
    try:
        renameat2(AT_FDCWD, place.partial_root, AT_FDCWD, place.root, RENAME.EXCHANGE)
    except OSError as error:
        raise BuildError(f'cannot replace "{place.root}"', why=describe_errno(error.errno or 0)) from None
    if marker:
        write_marker(
            place, marker.state, marker.strategy, place.root, image=marker.image, steps=marker.steps
        )  # fmt: skip
    drop_base(place.root)
    sync_directory(place.parent)
