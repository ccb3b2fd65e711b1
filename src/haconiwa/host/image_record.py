"""The record beside a root file system of the image that it was made from.

It is part of the marker that `haconiwa create` writes, and is read when a haco file is loaded.
"""

from __future__ import annotations

import json
import os

from haconiwa.host.root_place import beside, strange_owner
from haconiwa.spec.image import ImageSpec, with_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from haconiwa.spec.model import ContainerSpec

LARGEST = 1 << 20
"""Of a marker, in bytes."""


def marker_path(root: str) -> str:
    """Where the marker of a root file system is.

    Args:
        root: Absolute host path, links resolved.
    """
    return beside(root, "haconiwa.json")


def read_json(path: str) -> Any:
    """The content of a marker; None when there is none, or none that can be used."""
    try:
        if strange_owner(path):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return None


def identity(path: str) -> tuple[int, int]:
    """What tells a directory from every other one, also after the machine has started anew: file system and inode.

    The device number does not: btrfs gives out numbers as subvolumes are used, and those of disks can change.

    Args:
        path: Host path; a link at its end is not followed.

    Raises:
        OSError: There is no directory.
    """
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        return os.fstatvfs(fd).f_fsid or status.st_dev, status.st_ino  # some, such as NFS, have no number
    finally:
        os.close(fd)


def read_image(root: str) -> ImageSpec | None:
    """What is recorded about the image of a root file system.

    Args:
        root: Host path; a directory that only has the same name as the recorded one is not taken for it.
    """
    real = os.path.realpath(root)
    content = read_json(marker_path(real))
    try:
        there = identity(real)
    except OSError:
        return None
    if not isinstance(content, dict) or (content.get("filesystem"), content.get("inode")) != there:
        return None
    return parse_image(content.get("image"))


def with_recorded_image(spec: ContainerSpec) -> ContainerSpec:
    """The container with what the image of its root says, where it was made from one."""
    if spec.rootfs is None or spec.bootstrap is None or spec.bootstrap.strategy != "oci":
        return spec
    image = read_image(spec.rootfs.path)
    return with_image(spec, image) if image else spec


def parse_image(content: object) -> ImageSpec | None:
    """An image from its record; None when that is not of the right form."""
    if not isinstance(content, dict):
        return None
    command, environ = content.get("command"), content.get("environ")
    user, workdir = content.get("user"), content.get("workdir")
    if not isinstance(command, list) or not isinstance(environ, dict):
        return None
    if not all(isinstance(value, str) for value in (user, workdir, *command, *environ, *environ.values())):
        return None
    return ImageSpec(command=tuple(command), environ=environ, user=str(user), workdir=str(workdir))
