"""Looks at a container: at a port, in the text that the kernel shows, and what a look leaves behind."""

from __future__ import annotations

import builtins
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor.probes import HttpProbe, PortProbe

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0\n"
LISTENING, WAITING = "0A", "06"


def line(port: int, state: str) -> str:
    return f"   0: 0100007F:{port:04X} 00000000:0000 {state} {REST}"


def is_listened_on(port: int) -> bool:
    found: list[bool] = []
    PortProbe(os.getpid(), port).look(1.0, found.append)
    return found == [True]


def test_a_socket_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert is_listened_on(port)
            assert not is_listened_on(client.getsockname()[1])  # connected only
    assert not is_listened_on(port)


def test_listening_sockets_are_shown_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        states = [text.split()[3] for text in Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()]
    others = [state != LISTENING for state in states[1:]]
    assert any(others)
    assert others == sorted(others)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", True),
        (line(79, LISTENING) + line(80, WAITING), True),
        (line(79, LISTENING) * 20000, False),  # more than is read
    ],
)
def test_no_more_is_read_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, expected: bool
) -> None:
    shown = tmp_path / "tcp"
    shown.write_text(HEAD + before + line(80, LISTENING) + line(81, WAITING) * 20000, encoding="ascii")
    real, opened = builtins.open, []

    def open_shown(_path: str, **more: Any) -> Any:
        opened.append(real(shown, **more))
        return opened[-1]

    monkeypatch.setattr(builtins, "open", open_shown)
    assert is_listened_on(80) is expected
    assert all(file.closed for file in opened)


def test_a_process_that_is_gone_costs_no_descriptor() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    probe = HttpProbe(Loop(), pid, "http://localhost/")
    before = os.listdir("/proc/self/fd")
    seen: list[bool] = []
    for _ in range(3):
        probe.look(1.0, seen.append)
    assert seen == [False] * 3
    assert os.listdir("/proc/self/fd") == before
