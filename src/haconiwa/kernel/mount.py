"""The mount calls, old and new.

Paths are seen from the calling process's root and mount namespace. The new calls take a pair (directory descriptor,
path); an empty path with the call's EMPTY_PATH flag means the descriptor itself.
"""

from __future__ import annotations

import errno
import os

from haconiwa.kernel.errors import AT_FDCWD
from haconiwa.kernel.foreign import Structure, byref, c_char_p, c_int, c_size_t, c_uint64, c_ulong, c_void_p, sizeof
from haconiwa.kernel.libc import encode, encode_optional, fields, libc_function, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelEnum, KernelFlag

TYPE_CHECKING = False
if TYPE_CHECKING:
    Path = str | bytes | os.PathLike[str]

__all__ = [
    "AT", "AT_FDCWD", "FSCONFIG", "FSMOUNT", "FSOPEN", "MNT", "MOUNT_ATTR", "MOVE_MOUNT", "MS", "OPEN_TREE",
    "fsconfig_create", "fsconfig_set_flag", "fsconfig_set_string", "fsmount", "fsopen", "mount", "mount_setattr",
    "move_mount", "open_tree", "pivot_root", "read_fs_context_errors", "umount2",
]  # fmt: skip


class MS(KernelFlag):
    """Flags of mount(2); the propagation ones also go into `mount_setattr`."""

    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    SYNCHRONOUS = 16
    REMOUNT = 32
    MANDLOCK = 64
    DIRSYNC = 128
    NOSYMFOLLOW = 256
    NOATIME = 1024
    NODIRATIME = 2048
    BIND = 4096
    MOVE = 8192
    REC = 16384
    SILENT = 32768
    POSIXACL = 1 << 16
    UNBINDABLE = 1 << 17
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    SHARED = 1 << 20
    RELATIME = 1 << 21
    STRICTATIME = 1 << 24
    LAZYTIME = 1 << 25


class MNT(KernelFlag):
    """Flags of umount2(2)."""

    FORCE = 1
    DETACH = 2
    EXPIRE = 4
    UMOUNT_NOFOLLOW = 8

    @classmethod
    def kernel_name(cls, name: str) -> str:
        return name if name == "UMOUNT_NOFOLLOW" else f"MNT_{name}"


class AT(KernelFlag):
    """Flags of the calls that take a directory descriptor and a path."""

    SYMLINK_NOFOLLOW = 0x100
    SYMLINK_FOLLOW = 0x400
    NO_AUTOMOUNT = 0x800
    EMPTY_PATH = 0x1000
    RECURSIVE = 0x8000


class OPEN_TREE(KernelFlag):
    """Flags of open_tree(2); those of `AT` may be mixed in."""

    CLONE = 1
    CLOEXEC = os.O_CLOEXEC

    @classmethod
    def describe_rest(cls, rest: int) -> str:
        return str(AT(rest))


class MOVE_MOUNT(KernelFlag):
    """Flags of move_mount(2): F for the source, T for the target."""

    F_SYMLINKS = 0x1
    F_AUTOMOUNTS = 0x2
    F_EMPTY_PATH = 0x4
    T_SYMLINKS = 0x10
    T_AUTOMOUNTS = 0x20
    T_EMPTY_PATH = 0x40
    SET_GROUP = 0x100


class MOUNT_ATTR(KernelFlag):
    """Attributes of a mount. To set one of the access time ones, clear `_ATIME`."""

    _ATIME = 0x70
    RDONLY = 0x1
    NOSUID = 0x2
    NODEV = 0x4
    NOEXEC = 0x8
    NOATIME = 0x10
    STRICTATIME = 0x20
    NODIRATIME = 0x80
    IDMAP = 0x100000
    NOSYMFOLLOW = 0x200000


class FSOPEN(KernelFlag):
    """Flags of fsopen(2)."""

    CLOEXEC = 1


class FSMOUNT(KernelFlag):
    """Flags of fsmount(2)."""

    CLOEXEC = 1


class FSCONFIG(KernelEnum):
    """Commands of fsconfig(2)."""

    SET_FLAG = 0
    SET_STRING = 1
    CMD_CREATE = 6


class _MountAttr(Structure):
    """struct mount_attr."""

    _fields_ = fields(c_uint64, "attr_set", "attr_clr", "propagation", "userns_fd")


_int, _ulong, _string = c_int, c_ulong, c_char_p
_mount = libc_function("mount", _string, _string, _string, _ulong, _string)
_umount2 = libc_function("umount2", _string, _int)
_pivot_root = raw_syscall("pivot_root", _string, _string)
_open_tree = raw_syscall("open_tree", _int, _string, _ulong)
_move_mount = raw_syscall("move_mount", _int, _string, _int, _string, _ulong)
_fsopen = raw_syscall("fsopen", _string, _ulong)
_fsconfig = raw_syscall("fsconfig", _int, _ulong, _string, _string, _int)
_fsmount = raw_syscall("fsmount", _int, _ulong, _ulong)
_mount_setattr = raw_syscall("mount_setattr", _int, _string, _ulong, c_void_p, c_size_t)


def mount(source: Path | None, target: Path, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """Mounts a file system, or changes a mount (bind, remount, move, propagation), as `flags` say.

    Args:
        source: Device, directory or name; None where the kernel does not look at it.
        target: Where; a symbolic link as last component is followed.
        fstype: As in /proc/filesystems; None for bind, move and propagation.
        flags: `MS`.
        data: The file system's own options, separated by commas.

    Raises:
        SyscallError: EPERM (no CAP_SYS_ADMIN, or a locked mount), ENOENT, ENOTDIR, EINVAL (bad option or source),
            ENODEV (unknown file system), EBUSY, ELOOP.

    See: mount(2)
    """
    arguments = encode_optional(source), encode(target), encode_optional(fstype), flags, encode_optional(data)
    if _mount(*arguments) < 0:
        shown = () if data is None else (data,)
        raise syscall_error("mount", source, target, fstype, MS(flags), *shown)


def umount2(target: Path, flags: int = 0) -> None:
    """Removes the topmost mount at `target`; `flags` are `MNT`.

    Raises:
        SyscallError: EINVAL (no mount point, or a locked mount), EBUSY (in use, without `MNT.DETACH`), EPERM, ENOENT.

    See: umount(2)
    """
    if _umount2(encode(target), flags) < 0:
        raise syscall_error("umount2", target, MNT(flags))


def pivot_root(new_root: Path, put_old: Path) -> None:
    """Makes `new_root` the root mount of the mount namespace and moves the old one to `put_old`.

    Both may be ``"."``; the old root then lies on top of the new one, to be unmounted with `MNT.DETACH`.

    Never call it without a mount namespace of one's own.

    Raises:
        SyscallError: EINVAL (`new_root` is no mount point, its parent mount is shared, or `put_old` is not below),
            EBUSY (`new_root` is on the current root mount), ENOTDIR, EPERM.

    See: pivot_root(2)
    """
    if _pivot_root(encode(new_root), encode(put_old)) < 0:
        raise syscall_error("pivot_root", new_root, put_old)


def open_tree(dirfd: int, path: Path, flags: int = 0) -> int:
    """Opens a mount, or with `OPEN_TREE.CLONE` a detached copy of it (with `AT.RECURSIVE` of all below).

    Args:
        dirfd: Where a relative path starts, or `AT_FDCWD`.
        path: The object; a symbolic link as last component is followed unless `AT.SYMLINK_NOFOLLOW`.
        flags: `OPEN_TREE` and `AT`; the descriptor is close-on-exec in any case.

    Returns:
        A descriptor as of O_PATH. A detached copy ends with it unless it is attached with `move_mount`.

    Raises:
        SyscallError: EPERM (no CAP_SYS_ADMIN for a copy), ENOENT, EINVAL (a mount of another namespace), ENOSYS
            (before Linux 5.2).

    See: open_tree(2)
    """
    flags |= OPEN_TREE.CLOEXEC
    fd = _open_tree(dirfd, encode(path), flags)
    if fd < 0:
        raise syscall_error("open_tree", dirfd, path, OPEN_TREE(flags))
    return fd


def move_mount(from_dirfd: int, from_path: Path, to_dirfd: int, to_path: Path, flags: int = 0) -> None:
    """Attaches a detached mount, or moves an attached one; `flags` are `MOVE_MOUNT`.

    Links as last components are not followed unless `flags` ask for it.

    Raises:
        SyscallError: EINVAL (not a mount root, a directory on a file, the source is shared), ELOOP (below itself),
            ENOENT, EPERM, ENOSYS (before Linux 5.2).

    See: move_mount(2)
    """
    if _move_mount(from_dirfd, encode(from_path), to_dirfd, encode(to_path), flags) < 0:
        raise syscall_error("move_mount", from_dirfd, from_path, to_dirfd, to_path, MOVE_MOUNT(flags))


def fsopen(fstype: str, flags: int = FSOPEN.CLOEXEC) -> int:
    """Starts to make a file system of type `fstype`; the descriptor is close-on-exec in any case.

    Raises:
        SyscallError: ENODEV (unknown file system), EPERM, ENOSYS (before Linux 5.2).

    See: fsopen(2)
    """
    flags |= FSOPEN.CLOEXEC
    fd = _fsopen(encode(fstype), flags)
    if fd < 0:
        raise syscall_error("fsopen", fstype, FSOPEN(flags))
    return fd


def fsconfig_set_string(fs_fd: int, key: str, value: str) -> None:
    """Sets an option ``key=value`` of a file system to be made.

    Raises:
        SyscallError: EINVAL (unknown key or bad value; `read_fs_context_errors` tells), EBADF.

    See: fsconfig(2)
    """
    if _fsconfig(fs_fd, FSCONFIG.SET_STRING, encode(key), encode(value), 0) < 0:
        raise syscall_error("fsconfig", fs_fd, FSCONFIG.SET_STRING, key, value, 0)


def fsconfig_set_flag(fs_fd: int, key: str) -> None:
    """Sets an option without a value, such as ``ro``. Raises as `fsconfig_set_string`.

    See: fsconfig(2)
    """
    if _fsconfig(fs_fd, FSCONFIG.SET_FLAG, encode(key), None, 0) < 0:
        raise syscall_error("fsconfig", fs_fd, FSCONFIG.SET_FLAG, key, None, 0)


def fsconfig_create(fs_fd: int) -> None:
    """Makes the file system as configured.

    Raises:
        SyscallError: EBUSY (made already), EINVAL (an option is missing or wrong), EPERM, or the file system's own.

    See: fsconfig(2)
    """
    if _fsconfig(fs_fd, FSCONFIG.CMD_CREATE, None, None, 0) < 0:
        raise syscall_error("fsconfig", fs_fd, FSCONFIG.CMD_CREATE, None, None, 0)


def fsmount(fs_fd: int, flags: int = FSMOUNT.CLOEXEC, attr_flags: int = 0) -> int:
    """Makes a detached mount of the file system that `fsconfig_create` made.

    Args:
        fs_fd: From `fsopen`.
        flags: `FSMOUNT`; the descriptor is close-on-exec in any case.
        attr_flags: `MOUNT_ATTR`.

    Returns:
        A descriptor for `move_mount` with `MOVE_MOUNT.F_EMPTY_PATH`. The mount ends with it unless it is attached.

    Raises:
        SyscallError: EINVAL (not created yet, unknown attribute), EPERM (a new procfs or sysfs would uncover what is
            hidden in the old one), EBUSY.

    See: fsmount(2)
    """
    flags |= FSMOUNT.CLOEXEC
    fd = _fsmount(fs_fd, flags, attr_flags)
    if fd < 0:
        raise syscall_error("fsmount", fs_fd, FSMOUNT(flags), MOUNT_ATTR(attr_flags))
    return fd


def read_fs_context_errors(fs_fd: int) -> list[str]:
    """What the kernel has to say about a file system being made, oldest first; each is told once.

    Returns:
        Lines such as ``e tmpfs: Unknown parameter 'colour'``: e for error, w for warning, i for information.

    See: fsopen(2)
    """
    messages = []
    while True:
        try:
            messages.append(os.read(fs_fd, 4096).decode("utf-8", "replace").rstrip("\n"))
        except OSError as error:
            if error.errno == errno.ENODATA:
                return messages
            raise


def mount_setattr(
    dirfd: int,
    path: Path,
    flags: int = 0,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = -1,
) -> None:
    """Changes the attributes of a mount, with `AT.RECURSIVE` of all below, all or nothing.

    Args:
        dirfd: Where a relative path starts, or `AT_FDCWD`.
        path: A mount point; empty with `AT.EMPTY_PATH` for `dirfd` itself.
        flags: `AT`.
        attr_set: `MOUNT_ATTR` to set.
        attr_clr: `MOUNT_ATTR` to clear first.
        propagation: One of `MS.PRIVATE`, `MS.SLAVE`, `MS.SHARED`, `MS.UNBINDABLE`; 0 leaves it.
        userns_fd: User namespace whose id maps the mount gets, with `MOUNT_ATTR.IDMAP`.

    Raises:
        SyscallError: EINVAL (no mount point, unknown attribute), EPERM (no CAP_SYS_ADMIN, or a locked attribute would
            be cleared), EBUSY (open for writing, for RDONLY), ENOSYS (before Linux 5.12).

    See: mount_setattr(2)
    """
    attributes = _MountAttr(attr_set, attr_clr, propagation, max(userns_fd, 0))
    if _mount_setattr(dirfd, encode(path), flags, byref(attributes), sizeof(attributes)) < 0:
        shown = {
            "attr_set": MOUNT_ATTR(attr_set),
            "attr_clr": MOUNT_ATTR(attr_clr),
            "propagation": MS(propagation),
            "userns_fd": max(userns_fd, 0),
        }
        raise syscall_error("mount_setattr", dirfd, path, AT(flags), shown, sizeof(attributes))
