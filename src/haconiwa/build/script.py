"""Shell scripts, run whole by ``sh -xe``.

The script is neither an argument, whose size is limited, nor the standard input, of which a program in the script may
read: the shell gets it as a file, and /dev/null as standard input.
"""

from __future__ import annotations

from collections.abc import Callable

from haconiwa.host.programs import run_program
from haconiwa.host.tools import find_program

_REDIRECT = 'exec "$0" -xe /proc/self/fd/3 3<&0 0</dev/null'


def script_argv(sh: str) -> tuple[str, ...]:
    """The command that runs what arrives on its standard input as a script.

    Args:
        sh: Path of the shell, where the command runs.
    """
    return (sh, "-c", _REDIRECT, sh)


def success_line(sh: str) -> str:
    """What is said when a script has come to its end."""
    return f"Command success: {sh} -xe exited 0"


def run_script(code: str, directory: str, on_line: Callable[[str], object], what: str) -> None:
    """Run a script on the host.

    Args:
        code: The script.
        directory: Its working directory, also ``$ROOTFS``.
        on_line: Called with each line of output.
        what: What failed, in the error.

    Raises:
        BuildError: It failed.
    """
    argv = script_argv(find_program("sh"))
    run_program(argv, on_line, cwd=directory, environ={"ROOTFS": directory}, stdin=code.encode(), what=what)
