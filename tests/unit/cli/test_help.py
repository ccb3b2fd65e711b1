"""Help that teaches, and the page that lists all commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from haconiwa.cli.arguments import full_parser
from haconiwa.cli.main import ALIASES, COMMANDS, load_command
from haconiwa.kernel.signals import signal_number
from tests.support.program import TREE

PAGE = (Path(TREE) / "docs/commands.md").read_text(encoding="utf-8")
COMMON = {"-h", "--help", "--debug", "--quiet"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains(name: str) -> None:
    module = load_command(name)
    text = full_parser(name, module).format_help()
    assert text.startswith(f"usage: haconiwa {name} ")
    assert module.DESCRIPTION in text
    assert len(module.DESCRIPTION) > 60
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"version", "revisions"}))
def test_help_has_examples_that_are_right(name: str) -> None:
    module = load_command(name)
    lines = [line.strip() for line in module.EPILOG.splitlines()[1:]]
    assert lines
    for line in lines:
        words = re.split(r"  +| \| ", line)[0].split()
        assert words[:2] == ["haconiwa", name]
        argv = words[2 : words.index("--") if "--" in words else None]
        full_parser(name, module).parse_args(argv)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_on_the_page(name: str) -> None:
    section = next(part for part in PAGE.split("\n## ") if re.match(rf"(.*\W)?{name}\W", part.splitlines()[0] + "\n"))
    known = full_parser(name, load_command(name))._option_string_actions
    assert [option for option in known if option not in COMMON and f"`{option}" not in section] == []


def test_page_names_the_other_names() -> None:
    for alias, name in ALIASES.items():
        assert f"## {name}, also {alias}\n" in PAGE


def test_every_event_and_reason_is_in_the_help() -> None:
    section = PAGE.partition("\n## events\n")[2].partition("\n## ")[0]
    events = re.findall(r"`([a-z_]+)`", section.partition("oldest first: ")[2].partition("with a `why`")[0])
    reasons = re.findall(r"^\| (\w+) \|", section, re.MULTILINE)[1:]
    assert {"adopted", "removed"} <= set(events)
    assert "unknown" in reasons
    told = set(re.findall(r"\w+", load_command("events").DESCRIPTION))
    assert {*events, *reasons} - told == {"count"}


def test_signals_have_names_and_numbers() -> None:
    assert {signal_number(text) for text in ("TERM", "SIGTERM", "term", "15")} == {15}
