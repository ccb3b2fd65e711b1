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
from haconiwa.isolation.step import INSIDE, Executable, Site, Step
from haconiwa.isolation.trees import AT_FDCWD
from haconiwa.kernel.files import CLOSE_RANGE, MAX_FD, PROC_SUPER_MAGIC, RESOLVE, close_range, fstatfs, openat2
from haconiwa.kernel.process import execveat
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.spec.model import DEFAULT_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from haconiwa.errors import Where

READY = b"R"
"""The child is complete but for the exec."""
EXECUTE = b"X"
"""The supervisor lets it go on."""
_AT_SYMLINK_NOFOLLOW = 0x100
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
_NO_INTERPRETER = "its interpreter or loader is missing"
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


def find_file(path: str, argv: tuple[str, ...], environ: Mapping[str, str], depth: int = _SCRIPT_DEPTH) -> Executable:
    """Find out what to execute for one file, which is nothing that a magic link leads to.

    What is found here is what the kernel executes, however a hostile process inside swaps files meanwhile: the kernel
    follows no link any more, and executes no script through a close-on-exec descriptor, so the interpreter of a script
    is found in the same way.

    Raises:
        OSError: As execve(2); ELOOP for a magic link.
    """
    folder_fd, real_path = _locate(path)
    name = os.path.basename(real_path)
    kept = False
    try:
        if not os.access(name, os.X_OK, dir_fd=folder_fd, effective_ids=True, follow_symlinks=False):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        head = _head(folder_fd, name)
        kept = not head.startswith(b"#!")
    finally:
        if not kept:
            os.close(folder_fd)
    if kept:
        return Executable(folder_fd, real_path, argv, environ)
    if not depth:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    interpreter, *options = _interpreter_line(head)
    return find_file(interpreter, (interpreter, *options, path, *argv[1:]), environ, depth - 1)


def _locate(path: str) -> tuple[int, str]:
    """The folder that a file is really in, as a descriptor, and a path to the file whose last part is no link."""
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        flags = os.O_PATH | os.O_DIRECTORY
        folder_fd = openat2(AT_FDCWD, folder or ".", flags, resolve=RESOLVE.NO_MAGICLINKS)
        found = False
        try:
            mode = os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode
            found = stat.S_ISREG(mode)
            if found:
                return folder_fd, path
            if not stat.S_ISLNK(mode):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            if fstatfs(folder_fd) == PROC_SUPER_MAGIC:
                break
            path = os.path.join(folder, os.readlink(name, dir_fd=folder_fd))
        finally:
            if not found:
                os.close(folder_fd)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _head(folder_fd: int, name: str) -> bytes:
    """The beginning of a file; of one that may be executed but not read nothing, since a script must be readable."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
    try:
        fd = openat2(folder_fd, name, flags, resolve=RESOLVE.NO_MAGICLINKS)
    except PermissionError:
        return b""
    try:
        return os.read(fd, 256)
    finally:
        os.close(fd)


def _interpreter_line(head: bytes) -> list[str]:
    """The interpreter of a script and its one option, if any; words end as for the kernel, at blanks and tabs only."""
    line = head[2:].partition(b"\n")[0].partition(b"\0")[0].strip(b" \t").replace(b"\t", b" ")
    interpreter, _, option = line.partition(b" ")
    if not interpreter:
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
    return [os.fsdecode(word) for word in (interpreter, option.lstrip(b" ")) if word]


def _words(number: int) -> str:
    """The kernel's words for why a file cannot be executed; it uses one for two things that it does with links."""
    if number == errno.ELOOP:
        return "too many symbolic links, or one of procfs, which is not followed (ELOOP)"
    return describe_errno(number)


def find(argv: tuple[str, ...], environ: Mapping[str, str]) -> Executable:
    """Find a program.

    Raises:
        ContainerError: With exit status 127 when there is no such command, 126 when it cannot be executed.
    """
    failure = errno.ENOENT
    for path in candidates(argv[0], environ.get("PATH", DEFAULT_PATH)):
        try:
            return find_file(path, argv, environ)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                failure = error.errno or errno.EACCES
            elif _exists(path):
                raise _cannot_execute(argv[0], errno.ENOENT, _NO_INTERPRETER) from None
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
    hint = ""
    if missing and " " in program.strip():
        hint = "text is one program without arguments: a list has them"
    elif number == errno.ENOEXEC:
        hint = 'a script begins with "#!" and its interpreter; a program must be made for this machine'
    return ContainerError(
        f'cannot execute "{program}"',
        why="command not found in the container" if missing else words or _words(number),
        hint=hint,
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


class FindProgram(Step):
    """Find the container's program, with nothing open but what is needed to execute it.

    It is looked for before system calls are filtered, so that a filter need not allow what that takes.

    Args:
        programs: The argv to execute; of several the first that exists.
        environ: Asked for, over the defaults.
        term: The caller's TERM, for a program that gets a terminal.
        where: The line that names the program.
    """

    __slots__ = ("environ", "programs", "term")

    def __init__(
        self,
        programs: tuple[tuple[str, ...], ...],
        environ: Mapping[str, str],
        term: str | None,
        where: Where | None = None,
    ) -> None:
        super().__init__(INSIDE, where)
        self.programs = programs
        self.environ = environ
        self.term = term

    def describe(self) -> str:
        return f"find {' or '.join(argv[0] for argv in self.programs)}"

    def execute(self, site: Site) -> None:
        environ = environment(self.environ, site.home, self.term if site.terminal_socket else None)
        _close_all_but(site.channel_fd)
        *others, last = self.programs
        for argv in others:
            try:
                site.program = find(argv, environ)
                return
            except ContainerError as error:
                if error.exit_status != EXIT_NOT_FOUND:
                    raise
        site.program = find(last, environ)


class ExecuteProgram(Step):
    """Replace this process by the container's program.

    Args:
        programs: As `FindProgram` looks for.
        where: The line that names the program.
    """

    __slots__ = ("programs",)

    def __init__(self, programs: tuple[tuple[str, ...], ...], where: Where | None = None) -> None:
        super().__init__(INSIDE, where)
        self.programs = programs

    def describe(self) -> str:
        return f"execute {' or '.join(' '.join(argv) for argv in self.programs)}"

    def execute(self, site: Site) -> None:
        found = site.program
        assert found is not None  # noqa: S101 - it was found in the step before
        try:
            _execute(found)
        except OSError as error:
            number = error.errno or errno.EACCES
            words = _NO_INTERPRETER if number == errno.ENOENT else ""
        except ValueError as error:
            number, words = errno.EINVAL, str(error)
        raise _cannot_execute(self.programs[-1][0], number, words)


def _execute(found: Executable) -> NoReturn:
    """Execute it by the folder that it is in.

    The kernel does not hand such a file to the interpreter that binfmt_misc names for it, which has to find it by its
    path; then the path is executed, whose last part still may not be a link.
    """
    name = os.path.basename(found.path)
    try:
        execveat(found.folder_fd, name, found.argv, found.environ, _AT_SYMLINK_NOFOLLOW)
    except FileNotFoundError:
        execveat(AT_FDCWD, found.path, found.argv, found.environ, _AT_SYMLINK_NOFOLLOW)


def _close_all_but(channel_fd: int) -> None:
    """Close everything above 2 now, so that looking at the program finds a free descriptor below a small limit."""
    close_range(channel_fd, channel_fd, CLOSE_RANGE.CLOEXEC)
    if channel_fd > 3:
        close_range(3, channel_fd - 1)
    close_range(channel_fd + 1, MAX_FD)


class CallFunction(Step):
    """Run a Python function as the container's program.

    The start lasts until it has ended: what it raises is told as what a step raises that fails.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(INSIDE)
        self.function = function

    def describe(self) -> str:
        return "run a Python function"

    def execute(self, site: Site) -> None:
        call_function(lambda _: self.function(), None, f'"{function_name(self.function)}"')
        os._exit(0)
