"""Which streams are coloured."""

from __future__ import annotations

import os

import pytest

from haconiwa.cli.output import colours


@pytest.mark.parametrize(
    ("term", "no_color", "coloured"),
    [
        ("xterm", None, True),
        ("xterm", "", True),
        ("xterm", "1", False),
        ("dumb", None, False),
        ("unknown", None, False),
        (None, None, False),
    ],
)
def test_a_terminal_is_coloured_if_it_can_be_and_is_wanted_to(
    monkeypatch: pytest.MonkeyPatch, term: str | None, no_color: str | None, coloured: bool
) -> None:
    for name, value in (("TERM", term), ("NO_COLOR", no_color)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    master_fd, terminal_fd = os.openpty()
    try:
        assert colours(terminal_fd) == coloured
    finally:
        os.close(master_fd)
        os.close(terminal_fd)


def test_a_pipe_is_not_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ends = os.pipe()
    assert not colours(ends[1])
    for fd in ends:
        os.close(fd)
