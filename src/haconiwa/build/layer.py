"""What a container has changed in its own layer, and folding it into a new root file system."""

from __future__ import annotations

import os
from collections.abc import Iterator

from haconiwa.build.comparison import compare
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
from haconiwa.kernel.mount import AT_FDCWD, MOUNT_ATTR, MOVE_MOUNT, move_mount
from haconiwa.kernel.rename import RENAME, renameat2
from haconiwa.spec.model import ContainerSpec

_OPAQUE, _OPAQUE_BY_USER = "trusted.overlay.opaque", "user.overlay.opaque"


def changes(spec: ContainerSpec) -> Iterator[tuple[str, str]]:
    """What a container has changed, as pairs of a letter and a path as seen inside, in order of the paths.

    A: it is new. C: it is changed, or its owner or mode is. D: it is gone, with all that was below.

    Raises:
        ConfigError: The container has no layer of its own.
        BuildError: It cannot be read, or, at the end, there are paths in it that are too long.
    """
    place, upper = _layer_of(spec)
    if not os.path.isdir(upper):
        return
    with subject_of(spec.name):
        yield from compare(upper, lower_of(place.root), _OPAQUE_BY_USER if spec.unprivileged else _OPAQUE)


def _layer_of(spec: ContainerSpec) -> tuple[Place, str]:
    if spec.rootfs is None or not spec.rootfs.overlay:
        hint = "rootfs.overlay = True gives it one"
        raise ConfigError(
            Problem(f"{spec.name}: has no layer of its own", spec.rootfs.where if spec.rootfs else None, hint)
        )
    place = Place(spec.rootfs.path, spec.rootfs.trusted_uids)
    return place, upper_of(layer_folder(place.root, spec.name))


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
