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


def test_a_command_without_one_takes_no_two_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("create", load_command("create"), ["web.haco", "--", "sh"])
    assert caught.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_negative_timeout_is_a_number() -> None:
    assert parse("kill", load_command("kill"), ["-T", "-1", "web"]).timeout == -1


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("kill", "-s NOPE web", "invalid signal value: 'NOPE'"),
        ("kill", "-s 0 web", "invalid signal value: '0'"),
        ("kill", "-s 65 web", "invalid signal value: '65'"),
        ("kill", "-t web web", "invalid int value: 'web'"),
        ("stop", "-T nan web", "invalid seconds value: 'nan'"),
        ("stop", "-T inf web", "invalid seconds value: 'inf'"),
        ("stop", "-T 1e12 web", "invalid seconds value: '1e12'"),
        ("provision", "-r a,,b web.haco", "invalid list of names value: 'a,,b'"),
        ("new", "-s docker web.haco", "invalid choice: 'docker'"),
        ("rm", "", "the following arguments are required: FILE"),
    ],
)
def test_wrong_values_are_told(name: str, line: str, message: str) -> None:
    answer = by_argparse(name, load_command(name), line.split())
    assert isinstance(answer, str)
    assert message in answer
