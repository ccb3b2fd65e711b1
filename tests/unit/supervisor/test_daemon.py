"""What a barn in the background says to its caller, over a real pipe."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from haconiwa.supervisor.daemon import Report
from tests.support.child import in_child

LONG = "x" * 200000


def heard(report: Report, barn: Callable[[], None]) -> tuple[int, list[str]]:
    """What the caller is told by a barn in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            report.begin()
            barn()
        finally:
            os._exit(0)
    lines: list[str] = []
    status = report.wait(lines.append, "web")
    os.waitpid(pid, 0)
    return status, lines


def test_an_answer_of_any_length() -> None:
    report = Report()
    assert heard(report, lambda: report.send(3, ["one", LONG])) == (3, ["one", LONG])


def test_a_barn_that_dies_names_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_LOG_DIR", "/logs")
    assert heard(Report(), lambda: None) == (
        125, ["error: the barn process died while starting", "  hint: see /logs/web.supervisor.log"],
    )  # fmt: skip


def test_a_caller_that_is_gone_is_not_waited_for() -> None:
    """Of an answer that is longer than a pipe holds."""

    def barn() -> None:
        report = Report()
        report.begin()
        report.send(0, [LONG])
        assert report.write_fd == -1

    in_child(barn)
