"""The table and the JSON of containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.cli import inspect, ps
from haconiwa.cli.arguments import parse
from haconiwa.cli.output import Output
from haconiwa.errors import ContainerError
from haconiwa.lifecycle.json_text import to_json
from haconiwa.lifecycle.state import State
from haconiwa.spec.record import to_plain


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path))
    return tmp_path


def record(run_dir: Path, name: str, **settings: Any) -> None:
    config = {"init_command": ["/bin/sh"], "metadata": {}, **settings}
    state = State(name=name, haco_file="/web.haco", status="running", config=config, created_at=5.0)
    (run_dir / name).mkdir()
    (run_dir / name / "state.json").write_text(to_json(to_plain(state)), encoding="utf-8")


def shown(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    assert ps.run(parse("ps", ps, list(argv)), Output()) == 0
    return capfd.readouterr().out


@pytest.mark.usefixtures("run_dir")
def test_without_containers(capfd: pytest.CaptureFixture[str]) -> None:
    assert shown(capfd).split() == ["NAME", "PID", "SUPERVISOR", "STATUS", "UPTIME", "COMMAND", "ROOT"]
    assert shown(capfd, "-q") == ""
    assert json.loads(shown(capfd, "--json")) == []


def test_json_has_exactly_these_keys(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(run_dir, "web", metadata={"role": "test"}, rootfs={"path": "/srv/web"})
    assert json.loads(shown(capfd, "--json")) == [
        {
            "name": "web",
            "pid": None,
            "supervisor_pid": None,
            "status": "stopped",
            "created_at": 5.0,
            "command": ["/bin/sh"],
            "root": "/srv/web",
            "metadata": {"role": "test"},
        }
    ]


def test_hostile_texts_cannot_act_on_a_terminal(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(run_dir, "web", init_command=["/bin/\x1b[2Jsh", "a\nb\x07\udcff"], rootfs={"path": "/tmp/\x9b1m"})
    out = shown(capfd)
    assert len(out.splitlines()) == 2
    assert out.replace("\n", "").isprintable()
    assert "\\x1b[2Jsh" in out


def test_long_command_is_cut_in_the_table_only(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(run_dir, "web", init_command=["/bin/sh", "-c", "x" * 500])
    assert "x…" in shown(capfd)
    assert "x" * 40 not in shown(capfd)
    assert json.loads(shown(capfd, "--json"))[0]["command"][2] == "x" * 500


def test_broken_record_is_shown_as_damaged_and_named(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(run_dir, "good")
    (run_dir / "bad").mkdir()
    (run_dir / "bad/state.json").write_text("[" * 100_000, encoding="ascii")
    assert ps.run(parse("ps", ps, ["-q"]), Output()) == 0
    out, err = capfd.readouterr()
    assert out == "good\nbad\n"
    assert err.startswith(f'notice: bad: cannot read "{run_dir}/bad/state.json": ')
    assert err.count("\n") == 1
    assert json.loads(shown(capfd, "--json"))[1]["status"] == "damaged"
    with pytest.raises(ContainerError, match=r'cannot read ".*/bad/state.json"'):
        inspect.run(parse("inspect", inspect, ["bad"]), Output())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m 1s"),
        (3600, "1h"),
        (3605, "1h"),
        (7384, "2h 3m"),
        (90000, "1d 1h"),
        (86400 * 400, "400d"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert ps.duration(seconds) == text


@given(st.lists(st.tuples(*[st.text("ab c…ü", max_size=9)] * 3), min_size=1))
def test_columns_are_aligned(rows: list[tuple[str, ...]]) -> None:
    lines = ps.table(rows)
    assert len(lines) == len(rows)
    start = 0
    for column in zip(*rows, strict=True):
        for line, cell in zip(lines, column, strict=True):
            assert line[start : start + len(cell)].rstrip() == cell.rstrip()
        start += max(map(len, column)) + 2


def test_inspect_shows_the_record_and_does_not_load_the_file(
    run_dir: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record(run_dir, "web", environ={"A": "b"})
    assert inspect.run(parse("inspect", inspect, ["web"]), Output()) == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert found["haco_file"] == "/web.haco"
    assert found["processes"] == []
    assert found["config"]["environ"] == {"A": "b"}
