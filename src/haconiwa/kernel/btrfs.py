"""Subvolumes of btrfs: parts of a file system that can be copied and removed in one step."""

from __future__ import annotations

import os
import struct

from haconiwa.kernel.ioctl import ioctl_structure
from haconiwa.kernel.names import KernelFlag

BTRFS_FIRST_FREE_OBJECTID = 256
"""The inode number of the top directory of each subvolume."""

_NAME_ARGS = struct.Struct("=q4088s")  # struct btrfs_ioctl_vol_args
_NAME_ARGS_V2 = struct.Struct("=qQQ32x4040s")  # struct btrfs_ioctl_vol_args_v2
_ROOTREF_ARGS = struct.Struct("=Q4080xB7x")  # struct btrfs_ioctl_get_subvol_rootref_args


class BTRFS_SUBVOL(KernelFlag):
    """Flags of a subvolume."""

    RDONLY = 2


def subvol_create(parent_fd: int, name: str) -> None:
    """Makes an empty subvolume, as mkdir(2) makes a directory.

    Args:
        parent_fd: The directory it is made in; not O_PATH.
        name: One name, without a slash.

    Raises:
        SyscallError: EEXIST, EACCES, ENOSPC, EROFS, ENOTTY (not on btrfs).

    See: ioctl_btrfs(2)
    """
    ioctl_structure(parent_fd, "BTRFS_IOC_SUBVOL_CREATE", _NAME_ARGS.pack(0, os.fsencode(name)))


def snap_create(parent_fd: int, name: str, source_fd: int) -> None:
    """Makes a copy of a subvolume that shares all with it; in the place of subvolumes within are empty directories.

    Args:
        parent_fd: The directory it is made in; not O_PATH.
        name: One name, without a slash.
        source_fd: The top directory of the subvolume; not O_PATH.

    Raises:
        SyscallError: EXDEV (another file system), EINVAL (the source is no subvolume), EPERM (it is somebody else's),
            EEXIST, EACCES, ENOSPC, EROFS, ENOTTY (not on btrfs).

    See: ioctl_btrfs(2)
    """
    arguments = _NAME_ARGS_V2.pack(source_fd, 0, 0, os.fsencode(name))
    ioctl_structure(parent_fd, "BTRFS_IOC_SNAP_CREATE_V2", arguments)


def snap_destroy(parent_fd: int, name: str) -> None:
    """Removes a subvolume and all that is in it, but no other subvolume; a link of that name is not followed.

    Args:
        parent_fd: The directory it is in; not O_PATH.
        name: One name, without a slash.

    Raises:
        SyscallError: ENOTEMPTY (there is a subvolume in it), EINVAL (no subvolume), EPERM (no CAP_SYS_ADMIN, or it is
            what is mounted by default), ENOENT, EROFS, ENOTTY (not on btrfs).

    See: ioctl_btrfs(2)
    """
    ioctl_structure(parent_fd, "BTRFS_IOC_SNAP_DESTROY", _NAME_ARGS.pack(0, os.fsencode(name)))


def get_subvol_flags(fd: int) -> int:
    """The `BTRFS_SUBVOL` flags of a subvolume.

    Raises:
        SyscallError: EINVAL (not the top directory of a subvolume), ENOTTY (not on btrfs).
    """
    return int(struct.unpack("=Q", ioctl_structure(fd, "BTRFS_IOC_SUBVOL_GETFLAGS", bytes(8)))[0])


def set_subvol_flags(fd: int, flags: int) -> None:
    """Sets the `BTRFS_SUBVOL` flags of a subvolume, and clears those that are not given.

    Raises:
        SyscallError: EINVAL (not the top directory of a subvolume), EPERM (it is somebody else's), EROFS, ENOTTY.
    """
    ioctl_structure(fd, "BTRFS_IOC_SUBVOL_SETFLAGS", struct.pack("=Q", flags))


def count_subvolumes_within(fd: int) -> int:
    """How many subvolumes are directly in a subvolume, BTRFS_IOC_GET_SUBVOL_ROOTREF.

    Raises:
        SyscallError: EOVERFLOW (more than 255), ENOTTY (not on btrfs, or before Linux 4.18).
    """
    return int(_ROOTREF_ARGS.unpack(ioctl_structure(fd, "BTRFS_IOC_GET_SUBVOL_ROOTREF", bytes(_ROOTREF_ARGS.size)))[1])
