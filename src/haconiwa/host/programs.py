"""External programs: found first, run without a shell, their output delivered as it comes.

A name in a haco file must never become shell code or an option, so there are argv lists only.
"""

from __future__ import annotations

import os
import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.descriptors import memory_file
from haconiwa.host.helper import run_helper
from haconiwa.host.tools import SAFE_PATH
from haconiwa.kernel.files import CLOSE_RANGE, close_range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_LAST_LINES = 20


def program_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every program: fixed, except for the addresses of proxies."""
    names = [*_PROXIES, *(name.upper() for name in _PROXIES)]
    proxies = {name: os.environ[name] for name in names if name in os.environ}
    return {**_fixed_environment(), **proxies, **(extra or {})}


def _fixed_environment() -> dict[str, str]:
    # Root of a user namespace has the home of the user that it is outside.
    home = "/root" if os.geteuid() == 0 and os.access("/root", os.W_OK) else os.environ.get("HOME", "/")
    return {"PATH": SAFE_PATH, "HOME": home, "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"}


def execute_program(argv: Sequence[str], environment: Mapping[str, str], cwd: str = "/") -> NoReturn:
    """Become a program, in a helper; descriptors above 2 are closed.

    Raises:
        BuildError: It cannot be executed.
    """
    try:
        os.chdir(cwd)
        close_range(3, flags=CLOSE_RANGE.CLOEXEC)
        os.execve(argv[0], list(argv), environment)
    except OSError as error:
        raise BuildError(f'cannot execute "{argv[0]}"', why=describe_errno(error.errno or 0)) from None


def run_program(
    argv: Sequence[str],
    on_line: Callable[[str], object],
    *,
    cwd: str = "/",
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    what: str = "",
) -> None:
    """Run a program to its successful end, in namespaces in which nothing that it starts or mounts stays behind.

    Args:
        argv: Its absolute path and arguments.
        on_line: Called with each line of stdout and stderr, as it comes.
        cwd: Its working directory.
        environ: Additions to the fixed environment.
        stdin: What it may read.
        what: What failed, in the error; the program unless given.

    Raises:
        BuildError: It failed, or cannot be executed.
    """
    environment = program_environment(environ)
    hint = "" if stdin else f"to run it by hand: {replay_line(argv, cwd)}"
    stdin_fd = memory_file(stdin)
    try:
        run_checked(
            lambda: execute_program(argv, environment, cwd),
            on_line,
            argv=argv,
            hint=hint,
            what=what,
            stdin_fd=stdin_fd,
        )
    finally:
        os.close(stdin_fd)


def run_checked(
    function: Callable[[], int],
    on_line: Callable[[str], object],
    *,
    argv: Sequence[str],
    hint: str,
    what: str = "",
    stdin_fd: int = -1,
    isolated: bool = True,
    on_start: Callable[[int], object] = lambda _pid: None,
) -> None:
    """Run a function in a helper and raise unless it ends with status 0.

    Args:
        function: What runs, usually `execute_program`.
        on_line: As for `run_program`.
        argv: The command in the error.
        hint: The hint in the error.
        what: What failed; the program unless given.
        stdin_fd: Its standard input; -1 for /dev/null.
        isolated: As for `run_helper`.
        on_start: As for `run_helper`.

    Raises:
        BuildError: With the command, its status and the end of its output.
    """
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)

    def keep(text: str) -> None:
        last_lines.append(text)
        on_line(text)

    status = run_helper(function, keep, isolated=isolated, stdin_fd=stdin_fd, on_start=on_start)
    if status:
        raise BuildError(
            what or f'"{os.path.basename(argv[0])}" failed',
            why=describe_status(status),
            argv=tuple(argv),
            status=status,
            last_lines=tuple(last_lines),
            hint=hint,
        )


def describe_status(status: int) -> str:
    """``exited 1``, or ``killed by signal 9`` for a negative one."""
    return f"exited {status}" if status >= 0 else f"killed by signal {-status}"


def replay_line(argv: Sequence[str], cwd: str = "/") -> str:
    """A line for a shell that runs a command in the same directory and environment, but for passwords of proxies."""
    variables = [f"{key}={value}" for key, value in _fixed_environment().items()]
    command = shlex.join(["env", "-i", *variables, *argv])
    return command if cwd == "/" else f"cd {shlex.quote(cwd)} && {command}"
