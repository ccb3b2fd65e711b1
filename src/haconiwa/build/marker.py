"""How far a root file system has been built: a small JSON file beside it.

It holds the numbers of the root's file system and inode, so that a directory that only has the same name is never taken
for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from types import MappingProxyType

from haconiwa.build.place import Place
from haconiwa.host.image_record import identity, parse_image, read_json
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.record import Record, to_plain


class State(StrEnum):
    """Of a root file system."""

    BUILDING = "building"
    """A script that may fill the root in its place has begun; what is there must not be used."""
    BOOTSTRAPPED = "bootstrapped"
    """Its files are there; provisioning has not come to its end."""
    COMPLETE = "complete"


class Marker(Record):
    """What is written beside a root.

    Attributes:
        state: How far it is.
        strategy: What it was made with.
        filesystem: Of the root directory, as `identity` has it; 0 while building.
        inode: Likewise.
        image: What the image says that it was made from, if it was.
        steps: The provisioning steps that have come to their end, each with a digest of what it did.
    """

    state: State
    strategy: str
    filesystem: int = 0
    inode: int = 0
    image: ImageSpec | None = None
    steps: Mapping[str, str] = MappingProxyType({})


def write_marker(
    place: Place,
    state: State,
    strategy: str,
    root: str | None = None,
    *,
    image: ImageSpec | None = None,
    steps: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the marker beside and rename it, so that there is always a whole one or none.

    Args:
        place: Of the root.
        state: The new state.
        strategy: What it was made with.
        root: The directory that is, or is about to be renamed to, the root; None while there is none.
        image: As in `Marker`.
        steps: As in `Marker`.
    """
    filesystem, inode = identity(root) if root else (0, 0)
    content = {
        "state": state,
        "strategy": strategy,
        "filesystem": filesystem,
        "inode": inode,
        "image": to_plain(image),
        "steps": dict(steps),
    }
    beside = f"{place.marker}.new"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(fd)
        os.rename(beside, place.marker)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    sync_directory(place.parent)


def read_marker(place: Place) -> Marker | None:
    """The marker, whether or not the root is the one that it was written for; None when there is no usable one."""
    return _parse(read_json(place.marker))


def _parse(content: object) -> Marker | None:
    if not isinstance(content, Mapping):
        return None
    state, strategy = content.get("state"), content.get("strategy")
    filesystem, inode = content.get("filesystem"), content.get("inode")
    if not (state in list(State) and isinstance(strategy, str) and type(filesystem) is int and type(inode) is int):
        return None
    steps = content.get("steps")
    return Marker(
        state=State(state),
        strategy=strategy,
        filesystem=filesystem,
        inode=inode,
        image=parse_image(content.get("image")),
        steps={key: value for key, value in steps.items() if isinstance(value, str)} if isinstance(steps, dict) else {},
    )


def own_marker(place: Place) -> Marker | None:
    """The marker of the directory that is there now: one that we have made, or that a script of ours began to make."""
    marker = read_marker(place)
    if marker is None or marker.state is State.BUILDING:
        return marker
    try:
        there = identity(place.root)
    except OSError:
        return None
    return marker if there == (marker.filesystem, marker.inode) else None


def remove_marker(place: Place) -> None:
    """Remove the marker, and one that was being written."""
    for path in (place.marker, f"{place.marker}.new"):
        with suppress(FileNotFoundError):
            os.unlink(path)


def sync_directory(path: str) -> None:
    """Make renames in a directory outlive a crash of the machine."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
