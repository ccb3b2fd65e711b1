"""Detached mounts: cloned from what the host has, or made new, then attached at a path inside the container's root.

See: open_tree(2), fsopen(2), fsmount(2), mount_setattr(2), move_mount(2).
"""

from __future__ import annotations

import os

from haconiwa.isolation.confined import is_directory, make_directory, make_file
from haconiwa.isolation.mount_options import MountOptions
from haconiwa.kernel.mount import (
    AT,
    MOVE_MOUNT,
    MS,
    OPEN_TREE,
    fsconfig_create,
    fsconfig_set_flag,
    fsconfig_set_string,
    fsmount,
    fsopen,
    mount_setattr,
    move_mount,
    open_tree,
    read_fs_context_errors,
)

AT_FDCWD = -100
_CLONE_TREE = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC


def clone_tree(path: str, *, recursive: bool, attributes: int) -> int:
    """A detached private copy of what is mounted at a host path, or of a part of it.

    Args:
        path: On the host.
        recursive: Take the mounts below along; the attributes hold for them too.
        attributes: Set on the copy.

    Returns:
        A descriptor of the copy's root.
    """
    below = AT.RECURSIVE if recursive else AT(0)
    fd = open_tree(AT_FDCWD, path, _CLONE_TREE | below)
    try:
        mount_setattr(fd, "", AT.EMPTY_PATH | below, attr_set=attributes, propagation=MS.PRIVATE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def make_filesystem(fstype: str, source: str, options: MountOptions) -> int:
    """A detached mount of a new file system instance.

    Raises:
        OSError: With the file system's own words where it says why.
    """
    context_fd = fsopen(fstype)
    try:
        if source:
            fsconfig_set_string(context_fd, "source", source)
        for key, value in options.parameters:
            if value is None:
                fsconfig_set_flag(context_fd, key)
            else:
                fsconfig_set_string(context_fd, key, value)
        fsconfig_create(context_fd)
        return fsmount(context_fd, attr_flags=options.attributes)
    except OSError as error:
        words = read_fs_context_errors(context_fd)
        if words and error.errno is not None:
            raise OSError(error.errno, ", ".join(line.removeprefix("e ") for line in words)) from None
        raise
    finally:
        os.close(context_fd)


def attach(fd: int, root_fd: int, destination: str) -> None:
    """Attach a detached mount at a path inside the root, making the path when missing."""
    target_fd = make_directory(root_fd, destination) if is_directory(fd) else make_file(root_fd, destination)
    try:
        flags = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH
        move_mount(fd, "", target_fd, "", flags)
    finally:
        os.close(target_fd)
        os.close(fd)
