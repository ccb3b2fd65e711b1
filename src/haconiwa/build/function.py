"""Python code and functions of the user, run on the host in a child."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from haconiwa.errors import BuildError
from haconiwa.host.programs import run_checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_python(code: str | Callable[[str], Any], directory: str, on_line: Callable[[str], object]) -> None:
    """Run Python code, or a function of a directory, in a child of this process.

    Args:
        code: Code that finds the directory as ``rootfs``, or a function that gets it.
        directory: Absolute host path, also the working directory.
        on_line: Called with each line that it prints.

    Raises:
        BuildError: It raised, or its process ended with a status other than 0.
    """
    name = "code" if isinstance(code, str) else getattr(code, "__qualname__", "function")
    run_checked(lambda: _call(code, name, directory), on_line, argv=(f"python {name}",), hint="")


def _call(code: str | Callable[[str], Any], name: str, directory: str) -> int:
    os.chdir(directory)
    signal.signal(signal.SIGTERM, _leave)  # as process 1 of a namespace it would not notice the signal otherwise
    try:
        if isinstance(code, str):
            exec(
                compile(code, "<bootstrap>", "exec", dont_inherit=True),
                {"__name__": "__bootstrap__", "rootfs": directory},
            )
        else:
            code(directory)
    except Exception as error:
        _print_traceback(error)
        what = f'"python {name}" raised {type(error).__name__}'
        raise BuildError(what, why=str(error)) from None
    return 0


def _leave(number: int, _frame: object) -> None:
    """Let the user's code clean up after itself when it is interrupted."""
    sys.exit(128 + number)


def _print_traceback(error: Exception) -> None:
    """Only the user's own frames."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    sys.stderr.write("".join(traceback.format_list(frames)))
