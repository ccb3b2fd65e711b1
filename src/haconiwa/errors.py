"""The exceptions that leave the package, and the place in a haco file they point at.

    HaconiwaError
    ├── ConfigError      the haco file: cannot be loaded, unknown settings, bad values (exit 2)
    ├── HostError        this machine: a privilege, a kernel feature or a program is missing
    ├── BuildError       a command that makes a root file system failed
    ├── ContainerError   a container: not found, exists, wrong state, a step of its start failed
    ├── HookError        a function of the user's raised
    └── InternalError    a bug of ours

Texts are lower case without a final dot, name the object in double quotes and end in the kernel's words:
``cannot bind "/srv/data" on "/data": No such file or directory (ENOENT)``.
"""

from __future__ import annotations

import errno as _errno
import os

EXIT_FAILURE = 125
"""Exit status for a failure of ours."""
EXIT_NOT_EXECUTABLE = 126
"""Exit status for a command that cannot be executed."""
EXIT_NOT_FOUND = 127
"""Exit status for a command that does not exist."""
EXIT_USAGE = 2
"""Exit status for a wrong command line or haco file."""


class Where:
    """A line of a user's file, and how the program came to it.

    Attributes:
        file: Path of the file as the user named it.
        line: Line number, from 1.
        called_from: The outer lines of the user's that led there, innermost first.
    """

    __slots__ = ("called_from", "file", "line")

    def __init__(self, file: str, line: int, called_from: tuple[tuple[str, int], ...] = ()) -> None:
        self.file = file
        self.line = line
        self.called_from = called_from

    def __str__(self) -> str:
        outer = "".join(f", called from {file}:{line}" for file, line in self.called_from)
        return f"{self.file}:{self.line}{outer}"

    def __repr__(self) -> str:
        return f"Where({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.file, self.line))


class HaconiwaError(Exception):
    """Something went wrong, with what a user needs to mend it.

    Args:
        what: What could not be done, to which object.
        why: The reason, in the kernel's or the tool's words.
        hint: What to do next.
        where: The line of the haco file that asked for it.
        subject: The container or file concerned.
    """

    exit_status = EXIT_FAILURE

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", where: Where | None = None, subject: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.where = where
        self.subject = subject

    def __str__(self) -> str:
        return ": ".join(printable(part) for part in (self.subject, self.what, self.why) if part)

    def lines(self) -> list[str]:
        """The message as shown to a user: ``error:``, ``at:`` and ``hint:`` lines."""
        shown = [f"error: {self}"]
        if self.where is not None:
            shown.append(f"  at: {printable(str(self.where))}")
        if self.hint:
            shown.append(f"  hint: {printable(self.hint)}")
        return shown


class Problem:
    """One thing that is wrong with a haco file.

    Attributes:
        what: The setting and what is wrong with it.
        where: The line; None for the file as a whole.
        hint: What was probably meant, or what to do.
    """

    __slots__ = ("hint", "what", "where")

    def __init__(self, what: str, where: Where | None = None, hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        return printable(f"{place}{self.what}{'; ' + self.hint if self.hint else ''}")


class ConfigError(HaconiwaError):
    """A haco file, a global config or a command line cannot be used. Carries every problem, in file order."""

    exit_status = EXIT_USAGE

    def __init__(self, problems: list[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        first = self.problems[0]
        super().__init__(first.what, hint=first.hint, where=first.where)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def lines(self) -> list[str]:
        return [f"error: {problem}" for problem in self.problems]


class HostError(HaconiwaError):
    """This machine cannot do it: a privilege, a kernel feature or a program is missing."""


class BuildError(HaconiwaError):
    """A command that makes a root file system failed.

    Args:
        argv: The command.
        status: Its exit status, or minus the signal that ended it.
        last_lines: The end of its output.
    """

    def __init__(
        self,
        what: str,
        *,
        argv: tuple[str, ...] = (),
        status: int | None = None,
        last_lines: tuple[str, ...] = (),
        why: str = "",
        hint: str = "",
        where: Where | None = None,
        subject: str = "",
    ) -> None:
        super().__init__(what, why=why, hint=hint, where=where, subject=subject)
        self.argv = argv
        self.status = status
        self.last_lines = last_lines


class ContainerError(HaconiwaError):
    """A container cannot be found, exists already, is in the wrong state, or a step of its start failed.

    Args:
        exit_status: 127 for a command that does not exist, 126 for one that cannot be executed.
        errno: The kernel's error number, where there is one.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        where: Where | None = None,
        subject: str = "",
        exit_status: int = EXIT_FAILURE,
        errno: int = 0,
    ) -> None:
        super().__init__(what, why=why, hint=hint, where=where, subject=subject)
        self.exit_status = exit_status
        self.errno = errno


class HookError(HaconiwaError):
    """A hook raised.

    Args:
        frames: The user's frames, outermost first, as (file, line, function).
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        frames: tuple[tuple[str, int, str], ...] = (),
        where: Where | None = None,
        subject: str = "",
    ) -> None:
        super().__init__(what, why=why, where=where, subject=subject)
        self.frames = frames

    def lines(self) -> list[str]:
        shown = super().lines()
        shown[1:1] = [printable(f"  in: {function} ({file}:{line})") for file, line, function in self.frames]
        return shown


class InternalError(HaconiwaError):
    """A bug of ours."""

    def __init__(self, what: str, *, why: str = "", subject: str = "") -> None:
        super().__init__(what, why=why, subject=subject, hint="a bug of haconiwa: report it with the output of --debug")


_SCARCE = frozenset({
    _errno.EAGAIN, _errno.EDQUOT, _errno.EIO, _errno.EMFILE, _errno.ENFILE, _errno.ENOMEM, _errno.ENOSPC, _errno.EROFS,
})  # fmt: skip


def unexpected(what: str, error: Exception, subject: str = "") -> HaconiwaError:
    """What to tell of an exception that nobody has foreseen: the machine has nothing left, or we have a bug."""
    if isinstance(error, MemoryError):
        return HostError(what, why=describe_errno(_errno.ENOMEM), subject=subject)
    if isinstance(error, OSError) and error.errno in _SCARCE:
        place = f'"{os.fsdecode(error.filename)}": ' if isinstance(error.filename, (str, bytes)) else ""
        why, hint = f"{place}{describe_errno(error.errno)}", errno_hint(error.errno)
        return HostError(what, why=why, hint=hint, subject=subject)
    return InternalError("internal error", why=f"{type(error).__name__}: {error}", subject=subject)


def describe_errno(number: int) -> str:
    """The kernel's words for an error number: ``No such file or directory (ENOENT)``."""
    return f"{os.strerror(number)} ({_errno.errorcode.get(number, number)})"


def errno_hint(number: int) -> str:
    """What a user can do about an error number, whatever met it; empty when that depends."""
    return "raise the limit of open files: ulimit -n" if number == _errno.EMFILE else ""


def printable(text: str) -> str:
    """The text on one line with control characters escaped, so that names from a container cannot act on a terminal.

    Uses no codec: it also runs where nothing can be imported any more.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(number: int) -> str:
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
