"""Command lines.

Every command declares its arguments once, by calls of ``add_argument`` as for ``argparse``. ``argparse`` itself, and
what it imports, costs a third of a whole start, so a command line that is simply right is taken apart by
`QuickParser`, which knows the few forms that the commands use. Whatever it does not know, help and mistakes above all,
is given to ``argparse``, which has the last word.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, SimpleNamespace
    from typing import Any, Protocol

    class Parser(Protocol):
        """What a command's ``add_arguments`` may call."""

        def add_argument(self, *names: str, **settings: Any) -> Any:
            """As ``argparse.ArgumentParser.add_argument``."""
else:
    SimpleNamespace = type(sys.implementation)  # of the module types, without the time to load it


class _Unsure(Exception):
    """A command line for argparse."""


class QuickParser:
    """Takes apart the command lines that are simply right.

    Known are options with one value or none, by their whole names, and positional arguments with ``nargs`` of ``None``,
    ``"?"`` or ``"*"``.
    """

    def __init__(self) -> None:
        self._options: dict[str, dict[str, Any]] = {}
        self._positionals: list[dict[str, Any]] = []
        self._values: dict[str, Any] = {}

    def add_argument(self, *names: str, **settings: Any) -> None:
        """As ``argparse.ArgumentParser.add_argument``, of which it understands a part."""
        positional = not names[0].startswith("-")
        long_name = next((name for name in names if name.startswith("--")), names[0])
        settings["dest"] = settings.get("dest") or long_name.lstrip("-").replace("-", "_")
        default = False if settings.get("action") == "store_true" else None
        self._values[settings["dest"]] = settings.get("default", default)
        if positional:
            self._positionals.append(settings)
        else:
            self._options.update(dict.fromkeys(names, settings))

    def parse(self, argv: list[str]) -> SimpleNamespace | None:
        """The arguments by name, or None for argparse to decide."""
        values = dict(self._values)
        try:
            words = self._take_options(argv, values)
            self._take_positionals(words, values)
        except (_Unsure, ValueError):
            return None
        return SimpleNamespace(**values)

    def _take_options(self, argv: list[str], values: dict[str, Any]) -> list[str]:
        words: list[str] = []
        queue = iter(argv)
        before_option = -1  # how many words came before the last option
        for word in queue:
            if not word.startswith("-") or word == "-":
                if before_option == len(words) > 0:
                    raise _Unsure  # argparse has odd rules for positional arguments with options in between
                words.append(word)
                continue
            before_option = len(words)
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            settings = self._options.get(name)
            if settings is None or settings.get("action", "store") not in ("store", "store_true"):
                raise _Unsure
            if settings.get("action") == "store_true":
                if equals:
                    raise _Unsure
                values[settings["dest"]] = True
                continue
            if not equals:
                value = next(queue, "-")
                if value.startswith("-"):
                    raise _Unsure
            elif value == "--":
                raise _Unsure
            values[settings["dest"]] = _convert(settings, value)
        return words

    def _take_positionals(self, words: list[str], values: dict[str, Any]) -> None:
        rest = list(words)
        for settings in self._positionals:
            nargs = settings.get("nargs")
            if nargs == "*":
                values[settings["dest"]] = [_convert(settings, word) for word in rest]
                rest = []
            elif rest:
                values[settings["dest"]] = _convert(settings, rest.pop(0))
            elif nargs is None:
                raise _Unsure
        if rest:
            raise _Unsure


def _convert(settings: dict[str, Any], word: str) -> Any:
    convert: Callable[[str], Any] = settings.get("type", str)
    value = convert(word)
    if "choices" in settings and value not in settings["choices"]:
        raise _Unsure
    return value


def parse(name: str, module: ModuleType, argv: list[str]) -> SimpleNamespace:
    """A command's arguments by name.

    What follows ``--`` is the ``command`` of the commands that have ``TAKES_COMMAND``.

    Raises:
        ConfigError: A wrong command line, as argparse says it.
        SystemExit: Status 0 after help.
    """
    argv, command = _split_command(argv) if getattr(module, "TAKES_COMMAND", False) else (argv, [])
    quick = QuickParser()
    declare(quick, module)
    arguments = quick.parse(argv)
    if arguments is None:
        arguments = SimpleNamespace(**vars(full_parser(name, module).parse_args(argv)))
    arguments.command = command
    return arguments


def declare(parser: Parser, module: ModuleType) -> None:
    """All arguments of a command, the common ones included."""
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show every step with its time, and tracebacks")
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")


def full_parser(name: str, module: ModuleType) -> Any:
    """The ``argparse`` parser of a command."""
    import argparse

    from haconiwa.cli.full_parser import FullParser

    parser = FullParser(
        prog=f"haconiwa {name}",
        description=module.DESCRIPTION,
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    declare(parser, module)
    if getattr(module, "TAKES_COMMAND", False):
        parser.usage = parser.format_usage().removeprefix("usage: ").rstrip() + " [-- CMD ...]"
    return parser


def _split_command(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]
