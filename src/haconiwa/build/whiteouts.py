"""Whiteouts: the names in a layer of an image that stand for what the layer removes from those below.

``.wh.NAME`` removes NAME, ``.wh..wh..opq`` all that the directory had. See the OCI image specification, layer.md.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress

from haconiwa.errors import BuildError, printable
from haconiwa.host.tree import empty_directory
from haconiwa.kernel.files import RESOLVE, openat2

LIST_ARGUMENTS = ("--list", "--quoting-style=escape", "--file=-")
"""Of tar: one member in a line, control characters and backslashes escaped."""

LISTING_MAX = 1 << 28

_PREFIX = b".wh."
_OPAQUE = b".wh..wh..opq"
_RESERVED = b".wh..wh."
_CONFINED = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ESCAPE = re.compile(rb"\\([0-7]{3}|[abfnrtv\\ ])")
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def make_room(listing: Iterable[bytes]) -> None:
    """Remove from the working directory what a layer removes, and directories that it has something else for.

    Args:
        listing: The lines that tar has listed.

    Raises:
        BuildError: A name that cannot be meant.
        OSError: Something cannot be removed.
    """
    top_fd = os.open(".", _DIRECTORY)
    try:
        for line in listing:
            folder, _, name = _unescape(line.rstrip(b"\n")).rpartition(b"/")
            if name:  # names of directories end in a slash
                _apply(top_fd, folder or b".", name)
    finally:
        os.close(top_fd)


def _unescape(line: bytes) -> bytes:
    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(character, line)


def _apply(top_fd: int, folder: bytes, name: bytes) -> None:
    if not name.startswith(_PREFIX):
        _remove_directory(top_fd, folder, name)
        return
    removed = name.removeprefix(_PREFIX)
    if removed in (b"", b".", b".."):
        raise BuildError(f'the layer removes "{printable(os.fsdecode(name))}", which is no name')
    folder_fd = _open_folder(top_fd, folder)
    if folder_fd < 0:
        return
    try:
        if name == _OPAQUE:
            empty_directory(folder_fd)
        elif not name.startswith(_RESERVED):  # those are the old union file system's own
            remove_entry(folder_fd, os.fsdecode(removed))
    finally:
        os.close(folder_fd)


def _remove_directory(top_fd: int, folder: bytes, name: bytes) -> None:
    """Tar replaces everything by itself but a directory that is not empty."""
    folder_fd = _open_folder(top_fd, folder)
    if folder_fd < 0:
        return
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
                remove_entry(folder_fd, os.fsdecode(name))
    finally:
        os.close(folder_fd)


def _open_folder(top_fd: int, folder: bytes) -> int:
    """A descriptor of a folder below the working directory; -1 where there is none, so nothing to be removed."""
    try:
        return openat2(top_fd, folder, _DIRECTORY, resolve=_CONFINED)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            raise
        return -1


def remove_entry(folder_fd: int, name: str) -> None:
    """Remove one entry of a directory with all that is below; missing is fine."""
    try:
        status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=folder_fd)
        return
    fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=folder_fd)
    try:
        empty_directory(fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=folder_fd)
