from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from haconiwa.errors import HostError
from haconiwa.lifecycle.events import append_event
from haconiwa.lifecycle.follow import Follower


@pytest.fixture
def log_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_LOG_DIR", str(tmp_path / "log"))
    return tmp_path / "log"


def test_an_event_is_a_line_of_json(log_dir: Path) -> None:
    returned = append_event("web", "exited", exit_status=0, by=None, words='"\x1b')
    written = json.loads((log_dir / "events.jsonl").read_text())
    assert written == returned
    assert {key: written[key] for key in written if key != "time"} == {
        "name": "web", "event": "exited", "exit_status": 0, "words": '"\x1b',
    }  # fmt: skip
    assert (log_dir / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_long_log_is_put_aside(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haconiwa.lifecycle.events._LARGEST", 1000)
    for number in range(100):
        append_event("web", "started", number=number)
    kept = (log_dir / "events.jsonl.1").read_text() + (log_dir / "events.jsonl").read_text()
    numbers = [json.loads(line)["number"] for line in kept.splitlines()]
    assert numbers == list(range(100 - len(numbers), 100))
    assert len(kept) < 2500
    assert sorted(os.listdir(log_dir)) == ["events.jsonl", "events.jsonl.1"]


def test_what_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HACONIWA_LOG_DIR", str(tmp_path / "file"))
    assert append_event("web", "started")["event"] == "started"


def test_a_folder_that_others_can_write_to_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise HostError("user 1000 cannot use it", why="others can write to it")

    monkeypatch.setattr("haconiwa.lifecycle.events.events_file", refuse)
    assert append_event("web", "started")["event"] == "started"


def test_follower_reads_across_a_change_of_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Follower(str(path)) as follower:
        assert follower.read_lines() == []
        path.write_bytes(b"one\ntw")
        follower.wait(timeout_s=10)
        assert follower.read_lines() == [b"one"]
        with path.open("ab") as file:
            file.write(b"o\nthree\n")
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"four\n")
        follower.wait(timeout_s=10)
        assert follower.read_lines() == [b"two", b"three", b"four"]
