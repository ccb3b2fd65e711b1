"""A haco file as bytes: opened once, checked, read once.

What is executed may only come from people who could do it themselves: the file and each folder above it belong to
root or the caller, and nobody else can write there.
"""

from __future__ import annotations

import os
import stat

from haconiwa.errors import ConfigError, Problem, describe_errno
from haconiwa.host.paths import fault_of, folder_fault

SIZE_MAX = 1 << 20
"""Largest haco file in bytes."""
_READ_SIZE = 1 << 16


class Source:
    """A haco file that was read.

    Attributes:
        file: Path as the user named it.
        real_file: The path without links.
        data: The contents.
    """

    __slots__ = ("data", "file", "real_file")

    def __init__(self, file: str, real_file: str, data: bytes) -> None:
        self.file = file
        self.real_file = real_file
        self.data = data


def read_source(file: str, trusted_uids: tuple[int, ...] = ()) -> Source:
    """Open, check and read a file.

    Args:
        file: Host path; links are followed.
        trusted_uids: Whose files are accepted besides root's and the caller's own.

    Raises:
        ConfigError: It cannot be read, others could have written it, or it is no text.
    """
    real_file, data = read_trusted(file, trusted_uids, '"haconiwa new FILE" writes one')
    _check_text(file, data)
    return Source(file, real_file, data)


def read_trusted(file: str, trusted_uids: tuple[int, ...] = (), missing_hint: str = "") -> tuple[str, bytes]:
    """Open, check and read a file of at most `SIZE_MAX` bytes.

    Args:
        file: Host path; links are followed.
        trusted_uids: Whose files are accepted besides root's and the caller's own.
        missing_hint: What to do when there is none.

    Returns:
        Its path without links, and what it holds.

    Raises:
        ConfigError: It cannot be read, or others could have written it.
    """
    try:
        # Without O_NONBLOCK the open of a FIFO would wait for a writer.
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error, missing_hint) from None
    try:
        return _check_opened(file, fd, trusted_uids), _read(file, fd)
    except OSError as error:
        raise _unreadable(file, error) from None
    finally:
        os.close(fd)


def check_trusted(file: str, trusted_uids: tuple[int, ...] = ()) -> None:
    """Refuse a file that others could have written.

    Args:
        file: Host path without links.
        trusted_uids: Whose files are accepted besides root's and the caller's own.

    Raises:
        ConfigError: With the reason.
    """
    _check(file, os.stat(file), trusted_uids)


def _unreadable(file: str, error: OSError | ValueError, missing_hint: str = "") -> ConfigError:
    hint = missing_hint if isinstance(error, FileNotFoundError) else ""
    why = describe_errno(error.errno or 0) if isinstance(error, OSError) else "it has a NUL character"
    return ConfigError(Problem(f'cannot open "{file}": {why}', None, hint))


def _check_opened(file: str, fd: int, trusted_uids: tuple[int, ...]) -> str:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f'"{file}" is not a regular file')
    if status.st_size > SIZE_MAX:
        raise ConfigError(f'"{file}" is larger than {SIZE_MAX} bytes')
    # The descriptor knows the real path of what was opened; looking the name up again could find another file.
    real_file = os.readlink(f"/proc/self/fd/{fd}")
    _check(real_file, status, trusted_uids)
    return real_file


def _check(file: str, status: os.stat_result, trusted_uids: tuple[int, ...]) -> None:
    fault = fault_of(file, status, trusted_uids) or folder_fault(os.path.dirname(file), trusted_uids)
    if fault:
        what, mend = fault
        raise ConfigError(Problem(what, None, mend))


def _read(file: str, fd: int) -> bytes:
    data = b""
    while len(data) <= SIZE_MAX and (part := os.read(fd, _READ_SIZE)):
        data += part
    if len(data) > SIZE_MAX:
        raise ConfigError(f'"{file}" is larger than {SIZE_MAX} bytes')
    return data


def _check_text(file: str, data: bytes) -> None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f'"{file}" is in UTF-16, write it in UTF-8')
    if b"\0" in data:
        raise ConfigError(f'"{file}" has a NUL byte: it is not a text')
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f'"{file}" is not in UTF-8 (line {line})') from None
