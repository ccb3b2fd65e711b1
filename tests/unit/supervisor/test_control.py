from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor.control import Control, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.supervisor.control import Answer, Request


class Served:
    """A control socket that answers with what it was asked, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control"
        self.loop = Loop()
        self.asked: list[tuple[Request, Peer]] = []
        self.control = Control(self.loop, str(folder), self.answer)

    def answer(self, request: Request, peer: Peer) -> Answer:
        self.asked.append((request, peer))
        for _ in range(request.get("events", 0)):
            self.control.tell({"event": "x" * 1000})
        return {"ok": True, "asked": request.get("do"), **({"long": "x" * 70000} if request.get("long") else {})}

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def ask(self, client: socket.socket, packet: bytes) -> dict[str, object]:
        client.send(packet)
        self.control.drain()
        answer: dict[str, object] = json.loads(client.recv(1 << 17))
        return answer


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.control.close()


def test_a_request_is_answered_and_its_sender_known(served: Served) -> None:
    with served.connect() as client:
        assert served.ask(client, b'{"do": "status"}') == {"ok": True, "asked": "status"}
        assert served.ask(client, b'{"do": "again"}') == {"ok": True, "asked": "again"}
    assert served.asked[0][1] == Peer(pid=os.getpid(), uid=os.geteuid())


def test_nobody_else_may_connect(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("packet", [b"x", b"[]", b"\xff", b'{"do":' + b"[" * 1000])
def test_what_is_no_request_is_refused(served: Served, packet: bytes) -> None:
    with served.connect() as client:
        assert served.ask(client, packet)["ok"] is False
    assert served.asked == []


def test_too_long_a_request_ends_the_connection(served: Served) -> None:
    with served.connect() as client:
        client.send(b" " * 70000)
        served.control.drain()
        assert client.recv(100) == b""


def test_a_note_is_taken_in_though_its_sender_is_gone(served: Served) -> None:
    with served.connect() as client:
        client.send(b'{"do": "note"}')
    served.control.drain()
    assert [request for request, _peer in served.asked] == [{"do": "note"}]


def test_events_go_to_those_who_asked(served: Served) -> None:
    with served.connect() as listener, served.connect() as other:
        served.ask(listener, b'{"do": "events"}')
        served.ask(other, b'{"do": "status"}')
        served.control.tell({"event": "started"})
        assert json.loads(listener.recv(1000)) == {"event": "started"}
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1000)


def test_a_listener_that_does_not_read_is_let_go(served: Served) -> None:
    with served.connect() as listener:
        served.ask(listener, b'{"do": "events"}')
        for _ in range(10000):
            served.control.tell({"event": "x" * 1000})
        packets = 0
        while listener.recv(2000):
            packets += 1
        assert 0 < packets < 10000


def test_too_long_an_answer_is_an_error(served: Served) -> None:
    with served.connect() as client:
        assert served.ask(client, b'{"do": "status", "long": true}') == {
            "ok": False, "error": ["error: cannot answer: it would take more than 65536 bytes"],
        }  # fmt: skip
        assert served.ask(client, b'{"do": "status"}')["ok"] is True


def test_too_long_an_event_comes_without_its_details(served: Served) -> None:
    with served.connect() as listener:
        served.ask(listener, b'{"do": "events"}')
        served.control.tell({"time": 1.5, "name": "web", "event": "failed", "error": "x" * 70000})
        assert json.loads(listener.recv(65536)) == {"time": 1.5, "name": "web", "event": "failed"}


def test_a_listener_that_does_not_read_what_it_asks_for_is_let_go(served: Served) -> None:
    """It is gone by the time of the answer: the request itself makes for an event that is too much for it."""
    with served.connect() as listener:
        served.ask(listener, b'{"do": "events"}')
        listener.send(b'{"do": "reload", "events": 10000}')
        served.control.drain()
        assert [request["do"] for request, _peer in served.asked] == ["events", "reload"]
        while listener.recv(2000):
            pass


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    Served(tmp_path).control.close()
    again = Served(tmp_path)
    with again.connect() as client:
        assert again.ask(client, b'{"do": "status"}')["ok"] is True
    again.control.close()
