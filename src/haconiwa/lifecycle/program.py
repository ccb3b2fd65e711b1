"""The program a container runs: its environment, where it is found, and the exec.

A path that leads through a magic link of procfs, in itself or in the interpreter line of a script, is refused:
/proc/self/exe would be the host's Python.
See: execve(2), environ(7).
"""

from __future__ import annotations

import errno
import os
import stat

from haconiwa.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, ContainerError, describe_errno
from haconiwa.isolation.step import INSIDE, Site, Step
from haconiwa.isolation.trees import AT_FDCWD
from haconiwa.kernel.files import CLOSE_RANGE, MAX_FD, RESOLVE, close_range, openat2
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.spec.model import DEFAULT_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

READY = b"R"
"""The child is complete but for the exec."""
EXECUTE = b"X"
"""The supervisor lets it go on."""
_SCRIPT_DEPTH = 5  # the kernel follows that many interpreter lines, then ELOOP


def environment(asked: Mapping[str, str], home: str, term: str | None) -> dict[str, str]:
    """The program's whole environment: defaults, then what was asked for. Nothing of the caller's."""
    environ = {"PATH": DEFAULT_PATH, "HOME": home, "container": "haconiwa"}
    if term:
        environ["TERM"] = term
    return {**environ, **asked}


def candidates(program: str, path: str) -> list[str]:
    """The paths to try for a program, as execvp(3) does."""
    if "/" in program:
        return [program]
    return [f"{folder or '.'}/{program}" for folder in path.split(":")] if program else []


def refuse_magic_links(path: str, depth: int = _SCRIPT_DEPTH) -> None:
    """Check a program before it is executed.

    Raises:
        OSError: ELOOP for a magic link; else what open(2) says; EACCES for a directory.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    probe_fd = openat2(AT_FDCWD, path, os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE.NO_MAGICLINKS)
    mode = os.fstat(probe_fd).st_mode
    os.close(probe_fd)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        fd = openat2(AT_FDCWD, path, flags, resolve=RESOLVE.NO_MAGICLINKS)
    except PermissionError:
        return  # a program one may execute but not read is no script
    head = os.read(fd, 256)
    os.close(fd)
    if head.startswith(b"#!") and depth:
        words = head[2:].split(b"\n", 1)[0].split(None, 1)
        if words:
            refuse_magic_links(os.fsdecode(words[0]), depth - 1)


def execute(argv: tuple[str, ...], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program.

    Raises:
        ContainerError: With exit status 127 when there is no such command, 126 when it cannot be executed.
    """
    failure = errno.ENOENT
    for path in candidates(argv[0], environ.get("PATH", DEFAULT_PATH)):
        try:
            refuse_magic_links(path)
            os.execve(path, argv, environ)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                failure = error.errno or errno.EACCES
            elif _exists(path):
                raise _cannot_execute(argv[0], errno.ENOENT, "its interpreter or loader is missing") from None
            if failure not in (errno.ENOENT, errno.EACCES):
                break
        except ValueError as error:
            raise _cannot_execute(argv[0], errno.EINVAL, str(error)) from None
    raise _cannot_execute(argv[0], failure)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _cannot_execute(program: str, number: int, words: str = "") -> ContainerError:
    missing = number == errno.ENOENT and not words
    return ContainerError(
        f'cannot execute "{program}"',
        why="command not found in the container" if missing else words or describe_errno(number),
        exit_status=EXIT_NOT_FOUND if missing else EXIT_NOT_EXECUTABLE,
        errno=number,
    )


class HandOver(Step):
    """Tell the supervisor that all is ready, and wait for its word: no program runs whose state is not recorded."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "wait for the supervisor's word"

    def execute(self, site: Site) -> None:
        os.write(site.channel_fd, READY)
        if os.read(site.channel_fd, 16) != EXECUTE:
            os._exit(EXIT_NOT_EXECUTABLE)  # the supervisor gave up or is gone


class ExecuteProgram(Step):
    """Replace this process by the container's program, with no descriptor above 2.

    Args:
        programs: The argv to execute; of several the first that exists.
        environ: Asked for, over the defaults.
        term: The caller's TERM, for a program that gets a terminal.
    """

    __slots__ = ("environ", "programs", "term")

    def __init__(self, programs: tuple[tuple[str, ...], ...], environ: Mapping[str, str], term: str | None) -> None:
        super().__init__(INSIDE)
        self.programs = programs
        self.environ = environ
        self.term = term

    def describe(self) -> str:
        return f"execute {' or '.join(' '.join(argv) for argv in self.programs)}"

    def execute(self, site: Site) -> None:
        environ = environment(self.environ, site.home, self.term if site.terminal_socket else None)
        _close_all_but(site.channel_fd)
        *others, last = self.programs
        for argv in others:
            try:
                execute(argv, environ)
            except ContainerError as error:
                if error.exit_status != EXIT_NOT_FOUND:
                    raise
        execute(last, environ)


def _close_all_but(channel_fd: int) -> None:
    """Close everything above 2 now, so that looking at the program finds a free descriptor below a small limit."""
    close_range(channel_fd, channel_fd, CLOSE_RANGE.CLOEXEC)
    if channel_fd > 3:
        close_range(3, channel_fd - 1)
    close_range(channel_fd + 1, MAX_FD)


class CallFunction(Step):
    """Run a Python function as the container's program."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(INSIDE)
        self.function = function

    def describe(self) -> str:
        return "run a Python function"

    def execute(self, site: Site) -> None:
        os.close(site.channel_fd)  # as an exec would
        call_function(lambda _: self.function(), None, f'"{function_name(self.function)}"')
        os._exit(0)
