"""The command ``haconiwa``: finds the command's module, hands it its arguments, and turns errors into exit statuses."""

from __future__ import annotations

import gc
import os
import sys

from haconiwa.cli.late_site import use_site_when_needed
from haconiwa.cli.output import Output, message_fd, print_error
from haconiwa.errors import EXIT_FAILURE, EXIT_USAGE, HaconiwaError, describe_errno, unexpected
from haconiwa.host.descriptors import guard_inherited
from haconiwa.image import LAST, load
from haconiwa.kernel.signals import SIG_IGN, SIGHUP, SIGTERM, getsignal, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

COMMANDS = {
    "new": "write a commented haco file",
    "create": "make the root file system: bootstrap, then provision",
    "provision": "provision an existing root file system again",
    "archive": "write a root file system to an archive",
    "start": "run the containers of a haco file",
    "attach": "run a command in a running container",
    "reload": "give a running container the limits that its file says now",
    "kill": "send one signal to a container and wait for its end",
    "stop": "end a container: TERM, then KILL",
    "ps": "list containers",
    "logs": "show what a container in the background has printed",
    "stats": "show what containers use of the machine",
    "events": "show what happened to containers",
    "plan": "show every step that start would take",
    "check": "check a haco file without root",
    "inspect": "show a container's configuration and state as JSON",
    "network": "list, show or remove bridges",
    "diff": "show what a container has changed in its own layer",
    "commit": "make a container's changes part of its root file system",
    "images": "list what building keeps: root file systems, downloads, layers",
    "rm": "remove a root file system",
    "generate": "print a unit for systemd",
    "gc": "remove what killed supervisors have left, and caches",
    "version": "show the version",
    "revisions": "show the versions of everything in use",
}
"""Every command with what it does, in the order of a container's life."""

ALIASES = {"init": "new", "run": "start", "list": "ps"}
"""The original's other names."""

LATER = ("checkpoint", "restore")
"""What the original has and this version does not yet."""


def main() -> NoReturn:
    """Entry point of the command."""
    try:
        _main()
    except KeyboardInterrupt:  # before the command itself has begun
        os._exit(130)


def _main() -> NoReturn:
    isolate("haconiwa", "haconiwa.cli.main")
    _guard_descriptors()
    use_site_when_needed()
    _end_by_exception()
    status = _run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read has seen enough
    except OSError as error:
        print_error(HaconiwaError("cannot write the output", why=describe_errno(error.errno or 0)))
        status = EXIT_FAILURE
    # The interpreter's own farewell takes 2 ms and has nothing left to do.
    os._exit(status)


def isolate(name: str, module: str) -> None:
    """Start over in isolated mode when the environment could lead a program of root's to a stranger's files.

    Args:
        name: The command.
        module: The module that has its main function.
    """
    if not sys.flags.isolated and any(variable.startswith("PYTHON") for variable in os.environ):
        # Last, so that nothing else in the folder that we came from takes the place of a module of Python's.
        folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        script = f"import sys; sys.argv[0] = {name!r}; sys.path.append({folder!r}); from {module} import main; main()"
        os.execv(sys.executable, [sys.executable, "-I", "-c", script, *sys.argv[1:]])


def _guard_descriptors() -> None:
    """Let 0 to 2 be open, or files of ours would take their place, and nothing else be passed on to programs."""
    while (fd := os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)) < 3:
        os.set_inheritable(fd, True)
    os.close(fd)
    guard_inherited()
    # The interpreter has none where the descriptor was closed, but hooks print.
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _end_by_exception() -> None:
    """Let a signal to end unwind what is under way, so that nothing half-made stays; a barn sets its own handlers."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (SIGTERM, SIGHUP):
        if getsignal(number) != SIG_IGN:  # as nohup(1) has it
            signal(number, end)


def _run(argv: list[str]) -> int:
    debug = "--debug" in argv[: argv.index("--")] if "--" in argv else "--debug" in argv
    try:
        return _dispatch(argv)
    except HaconiwaError as error:
        if debug:
            _print_traceback()
        print_error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else EXIT_USAGE
    except Exception as error:
        if debug:
            _print_traceback()
        failure = unexpected("cannot go on", error)
        print_error(failure)
        return failure.exit_status


def _dispatch(argv: list[str]) -> int:
    common = []
    while argv and argv[0] in ("--debug", "--quiet"):
        common.append(argv.pop(0))
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _print_help(2 if not argv else 0)
    name = "version" if argv[0] == "--version" else ALIASES.get(argv[0], argv[0])
    if name not in COMMANDS:
        return _unknown_command(argv[0])
    from haconiwa.cli.arguments import parse

    module = load_command(name)
    arguments = parse(name, module, [*common, *argv[1:]])
    if name != "start":
        gc.enable()
    if message_fd() != 1:
        sys.stdout = sys.stderr  # what a haco file and its hooks print is no result
    status: int = module.run(arguments, Output(quiet=arguments.quiet))
    return status


def load_command(name: str) -> ModuleType:
    """The module of a command: ``DESCRIPTION``, ``add_arguments(parser)``, ``run(arguments, output) -> int``."""
    module_name = f"haconiwa.cli.{name}"
    if module_name == LAST:
        load(LAST)
    __import__(module_name)
    return sys.modules[module_name]


def _print_help(status: int) -> int:
    other_names = {name: alias for alias, name in ALIASES.items()}
    lines = ["usage: haconiwa [--debug] [--quiet] COMMAND ...", "", "Linux containers that you program.", ""]
    lines.append("commands:")
    for name, summary in COMMANDS.items():
        alias = f" (also: {other_names[name]})" if name in other_names else ""
        lines.append(f"  {name:<10} {summary}{alias}")
    lines += ["", "haconiwa COMMAND --help explains each."]
    os.write(1 if status == 0 else 2, ("\n".join(lines) + "\n").encode())
    return status


def _unknown_command(word: str) -> int:
    from haconiwa.dsl.unknown import NOT_YET
    from haconiwa.errors import ConfigError, Problem
    from haconiwa.spec.values import suggestion

    if word in LATER:
        raise ConfigError(f"{word}: {NOT_YET}")
    if word.startswith("-"):
        hint = "others than --debug, --quiet, --version and --help come after the command"
        raise ConfigError(Problem(f'unknown option "{word}"', hint=hint))
    hint = suggestion(word, [*COMMANDS, *ALIASES]) or "haconiwa --help lists them"
    raise ConfigError(Problem(f'unknown command "{word}"', hint=hint))


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()
