"""What was compiled for the filters of a start before. Nearly every start has the same, and reads one file.

A folder or file that is not ours, or that others could have written to, is passed over, as is a damaged one.
"""

from __future__ import annotations

import binascii
import os
import stat

from haconiwa.host.paths import cache_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    Programs = tuple[tuple[int, bytes], ...]

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LARGEST_FILE = 4 << 20


def read_cached(key: bytes) -> Programs | None:
    """What was compiled for a key; None when nothing is there that can be trusted."""
    folder_fd = _open_folder()
    if folder_fd < 0:
        return None
    try:
        fd = os.open(_file_name(key), os.O_RDONLY | _FILE_FLAGS, dir_fd=folder_fd)
    except OSError:
        return None
    finally:
        os.close(folder_fd)
    try:
        status = os.fstat(fd)
        trusted = stat.S_ISREG(status.st_mode) and _is_ours(status) and status.st_size <= _LARGEST_FILE
        return _unpack(os.read(fd, status.st_size), key) if trusted else None
    except OSError:
        return None
    finally:
        os.close(fd)


def write_cached(key: bytes, programs: Programs) -> None:
    """Remember what was compiled for a key, if there is a folder for it that only we can write to."""
    folder = f"{cache_dir()}/seccomp"
    temporary = f"{_file_name(key)}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        if not os.path.lexists(folder):
            os.mkdir(folder, 0o700)
        folder_fd = _open_folder()
        if folder_fd < 0:
            return
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE_FLAGS, 0o600, dir_fd=folder_fd)
            with open(fd, "wb") as file:
                file.write(_pack(key, programs))
            os.rename(temporary, _file_name(key), src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        finally:
            os.close(folder_fd)
    except OSError:
        return  # the next start compiles them again


def _open_folder() -> int:
    """The cache's folder; -1 when there is none, or when others could have written to it."""
    try:
        folder_fd = os.open(f"{cache_dir()}/seccomp", _FOLDER_FLAGS)
    except OSError:
        return -1
    if _is_ours(os.fstat(folder_fd)):
        return folder_fd
    os.close(folder_fd)
    return -1


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _file_name(key: bytes) -> str:
    return f"{binascii.crc32(key):08x}"


def _pack(key: bytes, programs: Programs) -> bytes:
    """A check sum, the key, whose name in the folder others may share, and each program with its flags."""
    parts = [len(key).to_bytes(4), key]
    for flags, program in programs:
        parts += [flags.to_bytes(4), len(program).to_bytes(4), program]
    content = b"".join(parts)
    return binascii.crc32(content).to_bytes(4) + content


def _unpack(content: bytes, key: bytes) -> Programs | None:
    start = 8 + len(key)
    whole = content[:4] == binascii.crc32(memoryview(content)[4:]).to_bytes(4)
    if not whole or content[4:start] != len(key).to_bytes(4) + key:
        return None
    programs = []
    while start < len(content):
        flags, size = (int.from_bytes(content[at : at + 4]) for at in (start, start + 4))
        programs.append((flags, content[start + 8 : start + 8 + size]))
        start += 8 + size
    return tuple(programs)
