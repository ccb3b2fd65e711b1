"""The command ``hacopy``: the Python interpreter with the primitives of containers in scope."""

from __future__ import annotations

import atexit
import builtins
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from haconiwa import __version__, primitives
from haconiwa.cli.main import isolate
from haconiwa.cli.output import print_error
from haconiwa.errors import EXIT_FAILURE, EXIT_USAGE, HaconiwaError, describe_errno, printable

USAGE = """\
usage: hacopy [SCRIPT [ARG ...]]

Run a Python script with the system calls and helpers that containers are made of as names in scope: unshare, mount,
pivot_root, sethostname, keep_capabilities … Without a script it is an interactive prompt that lists them; help(NAME)
explains each. "-" is a script on standard input. Arguments are in sys.argv, the exit status is the script's.

examples:
  hacopy                          a prompt
  hacopy by-hand.py /tmp/root     a script with an argument
"""

_HEADINGS = {
    "haconiwa.primitives": "composed",
    "haconiwa.kernel.namespaces": "namespaces",
    "haconiwa.kernel.process": "processes",
    "haconiwa.kernel.mount": "mounts",
    "haconiwa.kernel.files": "files",
    "haconiwa.kernel.capabilities": "capabilities",
    "haconiwa.kernel.uts": "names",
    "haconiwa.kernel.network": "network",
    "haconiwa.kernel.keyctl": "keyring",
    "posix": "from os",
    "resource": "limits",
}
"""What the banner calls the modules that the names come from."""


def main() -> NoReturn:
    """Entry point of the command."""
    isolate("hacopy", "haconiwa.cli.hacopy")
    atexit.register(_write_out)
    argv = sys.argv[1:]
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0)
    if argv and argv[0] == "--version":
        sys.stdout.write(f"hacopy {__version__}\n")
        sys.exit(0)
    if argv and argv[0].startswith("-") and argv[0] != "-":
        sys.stderr.write(f'error: unknown option "{printable(argv[0])}"\n{USAGE}')
        sys.exit(EXIT_USAGE)
    if argv or not sys.stdin.isatty():
        run_script(argv or ["-"])
    interact()
    sys.exit(0)


def _write_out() -> None:
    """Write what a script has printed at its very end, where the interpreter has no good words for what prevents it."""
    if sys.__stdout__ is None or sys.__stdout__.closed:
        return
    try:
        sys.__stdout__.flush()
    except BrokenPipeError:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)  # whoever read has seen enough
    except OSError as error:
        print_error(HaconiwaError("cannot write the output", why=describe_errno(error.errno or 0)))
        os._exit(EXIT_FAILURE)


def scope(file: str | None = None) -> ModuleType:
    """The module that user code runs in, with the primitives as its names; it becomes ``__main__``."""
    module = ModuleType("__main__")
    module.__dict__.update({name: getattr(primitives, name) for name in primitives.__all__})
    module.__dict__.update(__builtins__=builtins, os=os, sys=sys)
    if file is not None:
        module.__file__ = file
    sys.modules["__main__"] = module
    return module


def run_script(argv: Sequence[str]) -> None:
    """Run a script as Python would, and leave with its exit status.

    Args:
        argv: Its path, ``-`` for standard input, and its arguments.
    """
    path = argv[0]
    sys.argv = list(argv)
    try:
        source = _read(path)
    except OSError as error:
        sys.stderr.write(f'error: cannot read "{printable(path)}": {describe_errno(error.errno or 0)}\n')
        sys.exit(EXIT_USAGE)
    if path != "-":
        # Last, as for haco files: a module beside the script takes the place of nobody's.
        sys.path.append(os.path.dirname(os.path.abspath(path)))
    module = scope(None if path == "-" else path)
    try:
        code = compile(source, "<stdin>" if path == "-" else path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    sys.exit(0)


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def _show(error: BaseException) -> None:
    """Print the traceback without our own frame."""
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def interact() -> None:
    """A prompt with the primitives, completion and history of its own session."""
    import code

    names = scope().__dict__
    _complete(names)
    code.interact(banner(), local=names, exitmsg="")


def _complete(names: dict[str, Any]) -> None:
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def banner() -> str:
    """What the prompt begins with: every primitive, by what it is about."""
    groups: dict[str, list[str]] = {heading: [] for heading in (*_HEADINGS.values(), "others")}
    for name in primitives.__all__:
        home = getattr(getattr(primitives, name), "__module__", "")
        groups[_HEADINGS.get(home, "others")].append(name)
    lines = [
        f"hacopy {__version__}, Python {sys.version.split()[0]}: the primitives of containers. help(NAME) explains."
    ]
    for heading, found in groups.items():
        text = " ".join(sorted(found, key=lambda name: (name.isupper(), name)))
        lines += textwrap.wrap(text, 100, initial_indent=f"  {heading + ':':<14}", subsequent_indent=" " * 16)
    return "\n".join(lines)
