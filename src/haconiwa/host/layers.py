"""The layers of containers that share a root file system: beside it, as all that belongs to it.

NAME                            the root, which no container changes
.NAME.layers/kept/CONTAINER     a container's own layer: what it has changed is in ``upper``
.NAME.layers/thrown/CONTAINER   one that is thrown away when the container ends
.NAME.layers/base               a link to the root that is kept for many, over which this one lies: NAME is then empty
"""

from __future__ import annotations

import os

from haconiwa.host.root_place import beside


def layers_folder(root: str) -> str:
    """The folder of all layers over a root; nobody but root can enter it.

    Args:
        root: Host path.
    """
    return beside(os.path.realpath(root), "layers")


def layer_folder(root: str, container: str, *, ephemeral: bool = False) -> str:
    """The folder of one container's layer."""
    return os.path.join(layers_folder(root), "thrown" if ephemeral else "kept", container)


def upper_of(folder: str) -> str:
    """Where a layer holds what is changed."""
    return os.path.join(folder, "upper")


def make_layer(folder: str, root: str) -> None:
    """Make the folders of a layer that is not there yet; the new root directory shall look as the old one.

    Args:
        folder: Of the layer.
        root: What it will lie over.
    """
    os.makedirs(os.path.join(folder, "work"), 0o700, exist_ok=True)
    upper = upper_of(folder)
    if os.path.isdir(upper):
        return
    status = os.stat(root)
    beside = upper + ".new"
    if not os.path.isdir(beside):
        os.mkdir(beside, 0o700)
    os.chown(beside, status.st_uid, status.st_gid)
    os.chmod(beside, status.st_mode & 0o7777)
    os.rename(beside, upper)


def base_link(root: str) -> str:
    """The link that says over which other root a root lies."""
    return os.path.join(layers_folder(root), "base")


def lower_of(root: str) -> str:
    """The directory that has the files of a root: the root itself, or the one over which it lies.

    Args:
        root: Host path.
    """
    try:
        return os.readlink(base_link(root))
    except OSError:
        return root


def drop_base(root: str) -> None:
    """Let a root lie over no other one."""
    try:
        os.unlink(base_link(root))
    except FileNotFoundError:
        pass
