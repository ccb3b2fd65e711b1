"""Which events are shown, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from haconiwa.cli import events
from haconiwa.cli.arguments import parse
from haconiwa.cli.output import Output

pytestmark = pytest.mark.requires("root")

EVENTS = [
    {"time": 1.0, "name": "web", "event": "created", "haco_file": "/srv/one.haco"},
    {"time": 2.0, "name": "db", "event": "created", "haco_file": "/srv/one.haco"},
    {"time": 3.0, "name": "other", "event": "failed", "haco_file": "/srv/other.haco"},
    {"time": 4.0, "name": "web", "event": "removed"},
    {"time": 5.0, "name": "web", "event": "created", "haco_file": "/srv/other.haco"},
    {"time": 6.0, "name": "web", "event": "started"},
    {"time": 7.0, "name": "db", "event": "hook_failed", "error": "\x1b[2J\nno"},
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_LOG_DIR", str(tmp_path))
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS), encoding="ascii")
    return path


def times(capfd: pytest.CaptureFixture[str], *argv: str) -> list[float]:
    assert events.run(parse("events", events, ["--json", *argv]), Output()) == 0
    return [json.loads(line)["time"] for line in capfd.readouterr().out.splitlines()]


@pytest.mark.usefixtures("log")
def test_which_events(capfd: pytest.CaptureFixture[str]) -> None:
    assert times(capfd) == [1, 2, 3, 4, 5, 6, 7]
    assert times(capfd, "web") == [1, 4, 5, 6]
    assert times(capfd, "-n", "2", "web") == [5, 6]
    assert times(capfd, "nobody") == []


@pytest.mark.usefixtures("log")
def test_those_of_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert times(capfd, "/srv/one.haco") == [1, 2, 4, 7]
    assert times(capfd, "/srv/../srv/other.haco") == [3, 5, 6]
    assert times(capfd, "/srv/one.haco", "other") == [1, 2, 3, 4, 7]


@pytest.mark.usefixtures("log")
def test_hostile_texts_cannot_act_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    events.run(parse("events", events, ["db"]), Output())
    _created, failed = capfd.readouterr().out.splitlines()
    assert failed.isprintable()
    assert "\\x1b[2J" in failed


def test_what_is_no_event_is_passed_over(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log.write_text('[1]\n{"broken\n\n{"time": 9}\n', encoding="ascii")
    assert times(capfd) == [9]
