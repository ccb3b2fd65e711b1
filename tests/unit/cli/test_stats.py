"""The table and the graphs of what containers use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.cli import stats
from haconiwa.cli.arguments import parse
from haconiwa.cli.output import Output
from haconiwa.cli.stats_table import HEAD, Painter, fitting, plain_lines
from haconiwa.errors import ContainerError
from haconiwa.lifecycle.json_text import to_json
from haconiwa.lifecycle.state import State
from haconiwa.spec.record import to_plain

ROW: dict[str, Any] = {
    "name": "web", "status": "running", "pid": 7, "time": 1.0, "cpu_percent": 12.34, "cpu_seconds": 5.0,
    "memory": 1536, "memory_limit": 4096, "pids": 3, "pids_limit": None, "read_bytes": 0, "written_bytes": 1 << 20,
    "received_bytes": None, "sent_bytes": None, "interfaces": [], "of_processes": ["pids", "io"],
}  # fmt: skip
NOTHING_KNOWN = {key: None for key, value in ROW.items() if isinstance(value, (int, float))}
HOSTILE = "\x1b[2J\n[red]"


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path))
    return tmp_path


def record(run_dir: Path, name: str, haco_file: str = "/web.haco") -> None:
    state = State(name=name, haco_file=haco_file, status="running", config={"init_command": ["/bin/sh"]})
    (run_dir / name).mkdir()
    (run_dir / name / "state.json").write_text(to_json(to_plain(state)), encoding="utf-8")


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> pytest.CaptureFixture[str]:
    assert stats.run(parse("stats", stats, list(argv)), Output()) == 0
    return capfd


@pytest.mark.usefixtures("run_dir")
@pytest.mark.parametrize("more", [(), ("--no-stream",)])
def test_without_containers(capfd: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    shown = run(capfd, *more).readouterr()
    assert (shown.out, shown.err) == ("", "no container exists\n")
    assert run(capfd, "--json", *more).readouterr().out == "[]\n"


def test_which_containers(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, file in (("a", "/one.haco"), ("b", "/one.haco"), ("c", "/other.haco")):
        record(run_dir, name, file)

    def names(*argv: str) -> list[str]:
        return [row["name"] for row in json.loads(run(capfd, "--no-stream", "--json", *argv).readouterr().out)]

    assert names() == ["a", "b", "c"]
    assert names("c", "a") == ["c", "a"]
    assert names("/one.haco", "a") == ["a", "b"]
    assert names("-n", "b", "/one.haco") == ["b"]
    assert names("-n", "b") == ["b"]
    for argv in (["nobody"], ["a", "nobody"], ["-n", "c", "/one.haco"]):
        with pytest.raises(ContainerError):
            stats.run(parse("stats", stats, ["--no-stream", *argv]), Output())


def test_one_that_has_gone_meanwhile_is_no_error(run_dir: Path) -> None:
    record(run_dir, "web")
    looks = stats.Looks(["web"], None)
    assert len(looks.take()) == 1
    (run_dir / "web/state.json").unlink()
    assert looks.take() == []


def test_the_table() -> None:
    head, web, idle = plain_lines([ROW, {**ROW, **NOTHING_KNOWN, "name": "idle", "status": "creating"}])
    assert tuple(head.split()) == HEAD
    assert re.split("  +", web) == ["web", "12.3%", "1.5 KiB", "4 KiB", "3", "-", "-", "~0 B", "~1 MiB", "running"]
    assert idle.split() == ["idle", *"-" * 8, "creating"]


def test_hostile_texts_cannot_act_on_a_terminal() -> None:
    lines = plain_lines([{**ROW, "name": HOSTILE, "status": HOSTILE}])
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(1, 200))
def test_what_fits(widths: list[int], columns: int) -> None:
    count = fitting(widths, columns)
    assert 1 <= count <= len(widths)
    assert count == 1 or sum(widths[:count]) + 2 * (count - 1) <= columns
    assert count == len(widths) or sum(widths[: count + 1]) + 2 * count > columns


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("columns", [1, 20, 80, 200])
def test_no_line_is_longer_than_the_terminal(graphs: bool, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if graphs:
        pytest.importorskip("rich")
        from haconiwa.cli.stats_graphs import Graphs

        monkeypatch.setenv("NO_COLOR", "1")
        painter: Painter = Graphs()
    else:
        painter = Painter()
    painter.add([ROW, {**ROW, **NOTHING_KNOWN, "name": HOSTILE}])
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in painter.lines(columns)]
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= max(columns, len(HOSTILE) + 7)
    assert ("[red]" in lines[2]) == (columns > 1 or not graphs)


def test_graphs_show_how_it_went() -> None:
    pytest.importorskip("rich")
    from haconiwa.cli.stats_graphs import Graphs

    painter = Graphs()
    for percent in (0, 50, 100):
        painter.add([{**ROW, "cpu_percent": percent}])
    assert "▁▅█" in painter.lines(200)[1]
    painter.add([{**ROW, "pid": 8, "cpu_percent": 100}])
    assert re.search("[^▁▅█]█[^▁▅█]", painter.lines(200)[1]), "another run begins anew"
    painter.add([])
    assert len(painter.lines(200)) == 1


@given(st.lists(st.floats(0, 1e18)), st.floats(0, 1e18))
def test_graphs_have_a_bar_for_each_number(values: list[float], top: float) -> None:
    pytest.importorskip("rich")
    from haconiwa.cli.stats_graphs import graph_of

    bars = graph_of(values, top)
    assert len(bars) == len(values)
    assert set(bars) <= set("▁▂▃▄▅▆▇█")
