from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from haconiwa.host.descriptors import write_all
from haconiwa.lifecycle.relay import Relay, make_raw


@pytest.fixture
def terminal() -> Iterator[int]:
    master_fd, peer_fd = pty.openpty()
    yield peer_fd
    os.close(peer_fd)
    os.close(master_fd)


def test_raw_terminal_passes_every_byte(terminal: int) -> None:
    saved = termios.tcgetattr(terminal)
    make_raw(terminal, saved)
    raw = termios.tcgetattr(terminal)
    assert not raw[0] & (termios.ICRNL | termios.IXON | termios.ISTRIP | termios.BRKINT)
    assert not raw[1] & termios.OPOST
    assert not raw[3] & (termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    assert raw[2] & termios.CSIZE == termios.CS8
    assert raw[6][termios.VMIN] in (1, b"\x01")
    termios.tcsetattr(terminal, termios.TCSANOW, saved)
    assert termios.tcgetattr(terminal) == saved


def escapes(*typed: bytes) -> int:
    """How often what was typed asks to end the container."""
    asked: list[int] = []
    relay = Relay.__new__(Relay)  # its counting alone, without terminals
    relay._escapes = []
    relay._on_escape = lambda: asked.append(1)
    for chunk in typed:
        relay._note_escapes(chunk)
    return len(asked)


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ((b"\x1d\x1d\x1d",), 1),
        ((b"\x1d", b"\x1d", b"\x1d"), 1),
        ((b"abc\x1d\x1d\x1d",), 1),
        ((b"\x1d\x1d",), 0),
        ((b"\x1d\x1dx\x1d",), 0),
        ((b"\x1d\x1d", b"x", b"\x1d"), 0),
        ((b"\x1d" * 6,), 1),
        ((b"\x1d" * 3, b"\x1d" * 3), 2),
        ((b"",), 0),
    ],
)
def test_three_escapes_in_a_row_ask_to_end(typed: tuple[bytes, ...], count: int) -> None:
    assert escapes(*typed) == count


def test_escapes_that_are_long_ago_do_not_count() -> None:
    relay = Relay.__new__(Relay)
    asked: list[int] = []
    relay._on_escape = lambda: asked.append(1)
    relay._escapes = [0.0, 0.1]
    relay._note_escapes(b"\x1d")
    assert not asked


def test_write_all_survives_a_reader_that_is_gone() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    write_all(write_fd, b"x")
    os.close(write_fd)


def test_what_waits_is_shown_though_ever_more_comes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    relay = Relay.__new__(Relay)
    relay.ended, relay._master_fd = False, os.open("/dev/zero", os.O_RDONLY)
    relay.show_waiting()
    os.close(relay._master_fd)
    assert 1 << 20 <= len(capfdbinary.readouterr().out) < 2 << 20
