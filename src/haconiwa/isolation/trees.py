"""Detached mounts: cloned from what the host has, or made new, then attached at a path inside the container's root.

See: open_tree(2), fsopen(2), fsmount(2), mount_setattr(2), move_mount(2).
"""

from __future__ import annotations

import errno
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
_VALUE_MAX = 255  # of fsconfig(2)
_CLONE_TREE = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC


def clone_tree(path: str, *, recursive: bool, attributes: int, cleared: int = 0, propagation: int = MS.PRIVATE) -> int:
    """A detached copy of what is mounted at a host path, or of a part of it.

    Args:
        path: On the host.
        recursive: Take the mounts below along; all else holds for them too.
        attributes: Set on the copy.
        cleared: Taken away from it, whatever the source has.
        propagation: Private, or the copy hears of the source's mounts (slave), or tells of its own (shared) as well.

    Returns:
        A descriptor of the copy's root.
    """
    below = AT.RECURSIVE if recursive else AT(0)
    fd = open_tree(AT_FDCWD, path, _CLONE_TREE | below)
    try:
        mount_setattr(fd, "", AT.EMPTY_PATH | below, attr_set=attributes, attr_clr=cleared, propagation=propagation)
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
    doing = ""
    try:
        if source:
            fsconfig_set_string(context_fd, "source", source)
        for key, value in options.parameters:
            doing = f'it does not take the option "{key}"'
            _configure(context_fd, key, value)
        doing = ""
        fsconfig_create(context_fd)
        fd = fsmount(context_fd, attr_flags=options.attributes)
    except OSError as error:
        words = ", ".join(line.removeprefix("e ") for line in read_fs_context_errors(context_fd))
        if not words and error.errno == errno.EINVAL:
            words = doing
        raise OSError(error.errno, words or error.strerror) from None
    finally:
        os.close(context_fd)
    if options.propagation != MS.PRIVATE:
        mount_setattr(fd, "", AT.EMPTY_PATH, propagation=options.propagation)
    return fd


def _configure(context_fd: int, key: str, value: str | None) -> None:
    if value is None:
        fsconfig_set_flag(context_fd, key)
    elif key == "lowerdir" and len(os.fsencode(value)) > _VALUE_MAX:
        for layer_key, path in split_layers(value):
            fsconfig_set_string(context_fd, layer_key, path)
    else:
        fsconfig_set_string(context_fd, key, value)


def split_layers(lowerdir: str) -> list[tuple[str, str]]:
    """The layers of an overlay one by one, as Linux 6.5 takes them: all together may be too long for one option.

    A colon separates, two begin the layers that hold data only, and a backslash keeps the next character.
    See: the kernel's overlayfs.rst.
    """
    key, layers, characters = "lowerdir+", [("lowerdir+", "")], iter(lowerdir)
    for character in characters:
        if character == ":":
            if not layers[-1][1]:
                layers.pop()
                key = "datadir+"
            layers.append((key, ""))
        else:
            text = next(characters, "") if character == "\\" else character
            layers[-1] = (layers[-1][0], layers[-1][1] + text)
    return layers


def attach(fd: int, root_fd: int, destination: str, folder_mode: int = 0o755) -> None:
    """Attach a detached mount at a path inside the root, making the path when missing.

    Raises:
        OSError: As of `make_directory` and `make_file`; EISDIR and ENOTDIR when one is a directory and the other not.
    """
    folder = is_directory(fd)
    target_fd = make_directory(root_fd, destination, folder_mode) if folder else make_file(root_fd, destination)
    try:
        if not folder and is_directory(target_fd):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), destination)
        move_mount(fd, "", target_fd, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH)
    finally:
        os.close(target_fd)
        os.close(fd)
