"""What a service manager is told that does not take it at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor.service import Service


def fill(sender: socket.socket, address: str) -> int:
    """Send until the queue is full; how many there were."""
    sent = 0
    while True:
        try:
            sent += sender.sendto(b"x", address)
        except BlockingIOError:
            return sent


def test_one_that_is_busy_is_told_later_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    loop = Loop()
    service = Service([], loop)
    flags = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_UNIX, flags) as manager, socket.socket(socket.AF_UNIX, flags) as other:
        manager.bind(str(tmp_path / "notify"))
        sent = fill(other, str(tmp_path / "notify"))
        service.look()
        service.stop()
        assert [manager.recv(100) for _ in range(sent)] == [b"x"] * sent
        heard: list[bytes] = []
        loop.watch(manager.fileno(), lambda _events: heard.append(manager.recv(100)))
        late = loop.call_after(20, lambda: heard.append(b"nothing came"))
        loop.run_until(lambda: len(heard) == 2 or b"nothing came" in heard)
        late.cancel()
    assert heard == [b"READY=1\nSTATUS=0 of 0 containers run", b"STOPPING=1"]
