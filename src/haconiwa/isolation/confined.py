"""Files inside a root that may not be trusted, always through a descriptor of that root.

No link, ``..`` or mount inside can lead a path outside, and no magic link of procfs is followed.
See: openat2(2), RESOLVE_IN_ROOT.
"""

from __future__ import annotations

import errno
import os
import stat

from haconiwa.kernel.files import RESOLVE, openat2

_INSIDE = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS
_FOLDER = os.O_PATH | os.O_DIRECTORY
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS


def open_inside(root_fd: int, path: str, flags: int = os.O_PATH) -> int:
    """Open a path as a process whose root is `root_fd` would.

    Args:
        root_fd: The root directory.
        path: As seen inside; a leading slash makes no difference.
        flags: As for open(2); O_CLOEXEC is added.

    Returns:
        The descriptor.

    Raises:
        OSError: As openat2(2); ELOOP also for a magic link of procfs.
    """
    return openat2(root_fd, path, flags | os.O_CLOEXEC, resolve=_INSIDE)


def make_directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Open a directory inside, making the missing part of its path with a mode.

    A link that leads nowhere is followed inside, and others may make the same path at the same time.

    Raises:
        OSError: ENOTDIR when a part is something else, ELOOP when links lead in a circle.
    """
    return _open_or_make(root_fd, path or "/", stat.S_IFDIR | mode, _FOLDER)


def make_file(root_fd: int, path: str) -> int:
    """Open a file inside, making it empty with mode 0644 when missing, and the directories above.

    A link that leads nowhere is followed inside, because a root file system often brings one as /etc/resolv.conf.
    """
    return _open_or_make(root_fd, path, stat.S_IFREG | 0o644, os.O_PATH)


def _open_or_make(root_fd: int, path: str, mode: int, flags: int) -> int:
    for _ in range(_MOST_LINKS):
        try:
            return open_inside(root_fd, path, flags)
        except FileNotFoundError:
            path = _make_missing(root_fd, path, mode)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_missing(root_fd: int, path: str, mode: int) -> str:
    """Make what is missing of a path, folder by folder; where it leads when one of them is a link, else the path."""
    folders_mode = mode if stat.S_ISDIR(mode) else stat.S_IFDIR | 0o755
    fd, there, missing = _deepest(root_fd, path)
    try:
        while missing:
            name = missing.pop()
            try:
                _make(fd, name, folders_mode if missing else mode)
            except FileExistsError:
                if target := _link(fd, name):
                    return os.path.join(there, target, *reversed(missing))
            if missing:
                there = os.path.join(there, name)
                below_fd = open_inside(root_fd, there, _FOLDER)  # from the root: the name may be ".."
                os.close(fd)
                fd = below_fd
    except FileNotFoundError:
        pass  # somebody else has just removed it: look again
    finally:
        os.close(fd)
    return path


def _deepest(root_fd: int, path: str) -> tuple[int, str, list[str]]:
    """The deepest folder of a path that is there, as a descriptor and a path, and the names of the rest, last first."""
    missing: list[str] = []
    while True:
        path, name = os.path.split(path.rstrip("/"))
        missing.append(name)
        try:
            return open_inside(root_fd, path or "/", _FOLDER), path, missing
        except FileNotFoundError:
            continue


def _link(parent_fd: int, name: str) -> str:
    """Where a link leads; nowhere when somebody else has just made or removed something of that name."""
    try:
        return os.readlink(name, dir_fd=parent_fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return ""


def _make(parent_fd: int, name: str, mode: int) -> None:
    """Make a directory or an empty file, as the type in `mode` says, whatever the umask is."""
    umask = os.umask(0)
    try:
        if stat.S_ISDIR(mode):
            os.mkdir(name, stat.S_IMODE(mode), dir_fd=parent_fd)
        else:
            os.mknod(name, mode, dir_fd=parent_fd)
    finally:
        os.umask(umask)


def read_file(root_fd: int, path: str, limit: int = 1 << 20) -> bytes:
    """The content of a regular file inside.

    Raises:
        OSError: As open(2); EINVAL for anything but a regular file, EFBIG above `limit` bytes.
    """
    fd = open_inside(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = bytearray()
        while chunk := os.read(fd, 65536):
            content += chunk
            if len(content) > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return bytes(content)
    finally:
        os.close(fd)


def is_directory(fd: int) -> bool:
    """Whether a descriptor leads to a directory."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)
