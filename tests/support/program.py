"""Running haconiwa as a user would: as a program of its own, with a deadline."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import pexpect

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def source_for_everybody(folder: str) -> str:
    """Where every user can read the package's source. One below root's home nobody else can, so there is a copy then.

    Args:
        folder: Of this run, open to every user; the copy is made there once.
    """
    source, above = os.path.join(TREE, "src"), TREE
    while os.stat(above).st_mode & 0o001 and above != "/":
        above = os.path.dirname(above)
    if os.stat(above).st_mode & 0o001:
        return source
    copy = os.path.join(folder, "source")
    if not os.path.exists(copy):
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def foreign_package(python: str) -> str:
    """The folder of the package that the commands beside an interpreter run, where that is not this tree's.

    Args:
        python: Path of the interpreter. Where no command is beside it, tests run this tree's.
    """
    if not os.path.exists(os.path.join(os.path.dirname(python), "haconiwa")):
        return ""
    script = "import os, haconiwa; print(os.path.dirname(os.path.realpath(haconiwa.__file__)))"
    done = subprocess.run([python, "-I", "-c", script], cwd="/", check=True, capture_output=True, text=True)
    found = done.stdout.strip()
    return "" if found == os.path.join(os.path.realpath(TREE), "src", "haconiwa") else found


_LAUNCHER = """\
#!{python}
import sys
sys.path.insert(0, {source!r})
from haconiwa.cli.{module} import main
sys.exit(main())
"""


class Program:
    """One of the project's commands.

    Args:
        path: Host path of the executable.
        environ: What is added to the environment of each run.
    """

    def __init__(self, path: str, environ: Mapping[str, str]) -> None:
        self.path = path
        self._environ = environ

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a run: this process's without Python's own variables, then ours."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return {**inherited, **self._environ, **(extra or {})}

    def _argv(self, args: Iterable[str | os.PathLike[str]]) -> list[str]:
        return [self.path, *(os.fspath(arg) for arg in args)]

    def __call__(
        self,
        *args: str | os.PathLike[str],
        expect: int | None = 0,
        stdin: str | None = None,
        timeout_s: float = 30.0,
        cwd: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end without a terminal.

        Args:
            args: The command line.
            expect: Exit status that it must have; None for any. Negative for a signal.
            stdin: Text for its standard input; None is /dev/null.
            timeout_s: Seconds after which it is ended and the test fails.
            cwd: Folder to run it in.
            environ: Additions to the environment.
        """
        argv = self._argv(args)
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            cwd=cwd,
            env=self.environ(environ),
        )
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            stdout, stderr = _end(process)
            raise AssertionError(_shown(argv, stdout, stderr, f"still ran after {timeout_s} s")) from None
        if expect is not None and process.returncode != expect:
            raise AssertionError(_shown(argv, stdout, stderr, f"exited {process.returncode}, expected {expect}"))
        return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)

    def start(
        self, *args: str | os.PathLike[str], environ: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start it with pipes on its standard streams, and further options of `Popen`; the caller waits for it."""
        return subprocess.Popen(
            self._argv(args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ(environ),
            **options,
        )

    def on_terminal(
        self,
        *args: str | os.PathLike[str],
        timeout_s: float = 20.0,
        rows: int = 24,
        columns: int = 80,
        environ: Mapping[str, str] | None = None,
    ) -> pexpect.spawn[str]:
        """Start it on a terminal of its own.

        Args:
            args: The command line.
            timeout_s: Seconds that each `expect` waits.
            rows: Height of the terminal.
            columns: Width of the terminal.
            environ: Additions to the environment.
        """
        return pexpect.spawn(
            self.path,
            [os.fspath(arg) for arg in args],
            timeout=timeout_s,
            encoding="utf-8",
            dimensions=(rows, columns),
            env=self.environ({"TERM": "xterm", **(environ or {})}),
            preexec_fn=_hear_interrupts,
        )


def _hear_interrupts() -> None:
    """As on every terminal: a shell that runs the tests in its background has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def find_program(name: str, module: str, directory: str) -> str:
    """The command that a user of this environment would run.

    That is the one beside the interpreter, or, where the project is not installed, a file that does the same.

    Args:
        name: The command.
        module: The module of haconiwa.cli with its main function.
        directory: Where such a file may be written.
    """
    installed = os.path.join(os.path.dirname(sys.executable), name)
    if os.path.exists(installed):
        return installed
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(_LAUNCHER.format(python=sys.executable, source=os.path.join(TREE, "src"), module=module))
    os.chmod(path, 0o755)
    return path


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.terminate()
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate(timeout=5)


def _shown(argv: list[str], stdout: str, stderr: str, what: str) -> str:
    return f"{shlex.join(argv)}: {what}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
