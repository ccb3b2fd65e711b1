"""The quick parser never says anything else than argparse."""

from __future__ import annotations

import contextlib
import io
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haconiwa.cli.arguments import QuickParser, declare, full_parser, parse
from haconiwa.cli.main import COMMANDS, load_command
from haconiwa.errors import ConfigError

VALUES = (
    "web.haco", "web", "", "-", "--", "-1", "-T", "10", "1e3", "nan", "0x10", "TERM", "SIGKILL", "9", "a=b", "host",
    "shell", "a,b", ",", " ", "-n web", "--name=", "@file", "ünïcode", "x\ny",
)  # fmt: skip


class Recorder:
    """Notes the names of options that a command declares."""

    def __init__(self) -> None:
        self.options: list[str] = []

    def add_argument(self, *names: str, **_settings: Any) -> None:
        self.options += [name for name in names if name.startswith("-")]


def options(module: ModuleType) -> list[str]:
    recorder = Recorder()
    declare(recorder, module)
    return recorder.options


def quick(module: ModuleType, argv: list[str]) -> SimpleNamespace | None:
    parser = QuickParser()
    declare(parser, module)
    return parser.parse(argv)


def by_argparse(name: str, module: ModuleType, argv: list[str]) -> dict[str, Any] | str:
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            return dict(vars(full_parser(name, module).parse_args(argv)))
    except ConfigError as error:
        return str(error)
    except SystemExit:
        return errors.getvalue()


def words(module: ModuleType) -> st.SearchStrategy[list[str]]:
    known = st.sampled_from(options(module))
    value = st.sampled_from(VALUES) | st.text(max_size=4)
    word = known | value | st.tuples(known, value).map("=".join) | st.tuples(known, value).map("".join)
    return st.lists(word, max_size=6)


@given(data=st.data())
@pytest.mark.parametrize("name", COMMANDS)
def test_quick_parser_agrees_with_argparse(name: str, data: st.DataObject) -> None:
    module = load_command(name)
    argv = data.draw(words(module))
    found = quick(module, argv)
    if found is not None:
        assert by_argparse(name, module, argv) == vars(found)


@example([])
@example(["--quiet", "FILE"])
@given(
    st.lists(
        st.sampled_from(["-x", "--yes", "--yes=1", "-ofile", "-o", "--other", "--other=", "a", "b", "-", "-1", "7"])
    )
)
def test_agreement_on_every_form(argv: list[str]) -> None:
    module = ModuleType("module")

    def add_arguments(parser: Any) -> None:
        parser.add_argument("first")
        parser.add_argument("second", nargs="?", type=int, default=3)
        parser.add_argument("-x", "--yes", action="store_true")
        parser.add_argument("-o", "--other", choices=("a", "b", "-"))
        parser.add_argument("--many", action="append")

    module.__dict__.update(DESCRIPTION="", add_arguments=add_arguments)
    found = quick(module, argv)
    if found is not None:
        assert by_argparse("test", module, argv) == vars(found)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("start", "web.haco"),
        ("start", "-D --name web web.haco"),
        ("stop", "-T 5 web"),
        ("kill", "--signal=HUP --target 12 web"),
        ("ps", "--json"),
        ("ps", ""),
        ("new", "-s host web.haco"),
        ("provision", "-r a,b web.haco"),
    ],
)
def test_plain_command_lines_are_quick(name: str, line: str) -> None:
    assert quick(load_command(name), line.split()) is not None


@pytest.mark.parametrize(
    "line", ["", "--help", "web.haco more", "--nam web web.haco", "-n", "--daemon=yes web.haco", "-Dn web web.haco"]
)
def test_anything_else_is_left_to_argparse(line: str) -> None:
    assert quick(load_command("start"), line.split()) is None


def test_what_follows_two_dashes_is_the_command() -> None:
    arguments = parse("start", load_command("start"), ["web.haco", "--", "sh", "-c", "exit 7", "--", "-D"])
    assert arguments.command == ["sh", "-c", "exit 7", "--", "-D"]
    assert not arguments.daemon


def test_a_command_without_one_takes_no_two_dashes() -> None:
    with pytest.raises(ConfigError, match=r"unrecognized arguments: .*sh; haconiwa create --help explains it"):
        parse("create", load_command("create"), ["web.haco", "--", "sh"])


def test_negative_timeout_is_a_number() -> None:
    assert parse("kill", load_command("kill"), ["-T", "-1", "web"]).timeout == -1


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("kill", "-s NOPE web", '-s/--signal: "NOPE" is not a signal; haconiwa kill --help explains it'),
        ("kill", "-s 0 web", '-s/--signal: "0" is not a signal'),
        ("kill", "-s 65 web", '-s/--signal: "65" is not a signal'),
        ("kill", "-t web web", '-t/--target: "web" is not a pid'),
        ("kill", "-T x web", '-T/--timeout: "x" is not a number of seconds;'),
        ("attach", "-t abc web", '-t/--target: "abc" is not a pid'),
        ("attach", "-t -5 web", '-t/--target: "-5" is not a pid'),
        ("attach", "-t 0 web", '-t/--target: "0" is not a pid'),
        ("logs", "-n -1 web", '-n/--lines: "-1" is not a number from 0 on'),
        ("stop", "-T nan web", '-T/--timeout: "nan" is not a number of seconds from 0 on'),
        ("stop", "-T inf web", '-T/--timeout: "inf" is not a number of seconds from 0 on'),
        ("stop", "-T 1e12 web", '-T/--timeout: "1e12" is not a number of seconds from 0 on'),
        ("stop", "-T -1 web", '-T/--timeout: "-1" is not a number of seconds from 0 on'),
        ("provision", "-r a,,b web.haco", '-r/--run-only: "a,,b" is not a list of names'),
        ("new", "-s docker web.haco", "-s/--strategy: invalid choice: 'docker'"),
        ("rm", "", "the following arguments are required: FILE"),
    ],
)
def test_wrong_values_are_told(name: str, line: str, message: str) -> None:
    answer = by_argparse(name, load_command(name), line.split())
    assert isinstance(answer, str)
    assert answer.startswith(message)
