"""The one exception of this layer."""

from __future__ import annotations

import errno as _errno
import os

from haconiwa.kernel.names import KernelEnum, KernelFlag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AT_FDCWD = -100
"""In place of a directory descriptor: paths are relative to the current directory."""


class SyscallError(OSError):
    """A system call failed.

    The layer above knows what the call was for and says so; this text is for a debug log. As with ``OSError`` itself,
    the usual error numbers make a `FileNotFoundError`, `FileExistsError`, `PermissionError` and so on.

    Attributes:
        errno: The kernel's error number.
        call: The call as strace(1) shows it: ``mount("proc", "/proc", "proc", MS_NOSUID)``.
    """

    def __new__(cls, errno: int, call: str) -> SyscallError:  # noqa: ARG004 - for __init__
        kind: Any = _KINDS.get(errno, cls)
        error: SyscallError = super().__new__(kind, errno, os.strerror(errno))
        return error

    def __init__(self, errno: int, call: str) -> None:
        self.call = call

    def __str__(self) -> str:
        number = self.errno or 0
        return f"{self.call}: {self.strerror} ({_errno.errorcode.get(number, number)})"


def _kind(builtin: type[OSError]) -> type[SyscallError]:
    return type("SyscallError", (SyscallError, builtin), {"__doc__": SyscallError.__doc__})


_KINDS = {
    _errno.ENOENT: _kind(FileNotFoundError),
    _errno.EEXIST: _kind(FileExistsError),
    _errno.ENOTDIR: _kind(NotADirectoryError),
    _errno.EPERM: _kind(PermissionError),
    _errno.EACCES: _kind(PermissionError),
    _errno.EINTR: _kind(InterruptedError),
    _errno.ESRCH: _kind(ProcessLookupError),
    _errno.EAGAIN: _kind(BlockingIOError),
}


def render_call(name: str, arguments: tuple[object, ...]) -> str:
    """A call as strace(1) shows it."""
    return f"{name}({', '.join(render_argument(argument) for argument in arguments)})"


def render_argument(value: object) -> str:
    """One argument: strings quoted and escaped, flags and enumerations by name, None as ``NULL``.

    A dict stands for a structure; text in it is taken as it is, for numbers in hexadecimal. No codec is used, since
    this may run where nothing can be imported any more.
    """
    if value is None:
        return "NULL"
    if isinstance(value, (str, bytes, os.PathLike)):
        return f'"{"".join(_escape(character) for character in os.fsdecode(value))}"'
    if isinstance(value, (KernelFlag, KernelEnum)) or type(value).__module__ == "signal":
        return _render_constant(value)
    if isinstance(value, dict):
        shown = [f"{key}={item if isinstance(item, str) else render_argument(item)}" for key, item in value.items()]
        return f"{{{', '.join(shown)}}}"
    return "AT_FDCWD" if value == AT_FDCWD else str(value)


def _render_constant(value: Any) -> str:
    """Our own constants print under their kernel names; those of ``signal`` bear them already."""
    return value.name if type(value).__module__ == "signal" else str(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\x{ord(character):02x}"
