"""What a container cannot make its resolver do."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from haconiwa.host.loop import Loop
from haconiwa.isolation.net import dns
from haconiwa.isolation.net.resolver import Listeners, Resolver
from tests.support.child import in_child

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ok\x07example\x00\x00\x01\x00\x01"
DEADLINE_S = 20.0


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners.__new__(Listeners)  # not at the address that only root has
    made.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.udp.bind(("127.0.0.1", 0))
    made.tcp.bind(("127.0.0.1", 0))
    made.tcp.listen(64)
    yield made
    made.close()


@pytest.fixture
def resolver(listeners: Listeners) -> Resolver:
    return Resolver(Loop(), listeners, (), is_allowed=lambda _name: True, let_in=lambda _name, _addresses: None)


def client(listeners: Listeners) -> socket.socket:
    made = socket.create_connection(listeners.tcp.getsockname())
    made.setblocking(False)
    return made


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def run(resolver: Resolver, seconds: float = 0.0) -> int:
    """Run until there is nothing to do any more, or for some seconds; the rounds that it took."""
    rounds: list[bool] = []
    over: list[bool] = []

    def is_over() -> bool:
        rounds.append(True)
        return bool(over)

    resolver.loop.call_after(seconds, lambda: over.append(True))
    resolver.loop.run_until(is_over)
    return len(rounds)


def run_until_closed(resolver: Resolver, connection: socket.socket) -> None:
    late: list[bool] = []
    timer = resolver.loop.call_after(DEADLINE_S, lambda: late.append(True))
    resolver.loop.run_until(lambda: is_closed(connection) or bool(late))
    timer.cancel()
    assert not late


def test_what_ends_at_once_is_not_at_work_for_ever(resolver: Resolver) -> None:
    answers: list[bytes] = []
    for _ in range(200):
        resolver.ask(QUERY, socket.SOCK_DGRAM, answers.append)
    assert answers == [dns.failure(QUERY)] * 200
    assert resolver._at_work == []


def test_clients_over_tcp_are_limited(resolver: Resolver, listeners: Listeners) -> None:
    clients = [client(listeners) for _ in range(33)]
    run_until_closed(resolver, clients[32])
    assert not any(is_closed(each) for each in clients[:32])
    clients[0].shutdown(socket.SHUT_WR)
    run_until_closed(resolver, clients[0])
    clients += [client(listeners), client(listeners)]
    run_until_closed(resolver, clients[34])
    assert not is_closed(clients[33])
    for each in clients:
        each.close()
    resolver.loop.run_until(lambda: not resolver._streams)


def test_no_descriptor_for_a_client_is_no_reason_to_spin(resolver: Resolver, listeners: Listeners) -> None:
    def check() -> None:
        waits = client(listeners)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (waits.fileno() + 8, hard))
        taken = []
        while True:
            try:
                taken.append(os.dup(0))
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017 - it is the end of the loop
                break
        assert run(resolver, 0.2) < 10
        for fd in taken:
            os.close(fd)
        waits.shutdown(socket.SHUT_WR)
        run_until_closed(resolver, waits)

    in_child(check)
