"""What a container cannot make its resolver do."""

from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import weakref
from collections.abc import Callable, Iterator

import pytest

from haconiwa.host.loop import Loop
from haconiwa.isolation.net import dns
from haconiwa.isolation.net.resolver import Listeners, Resolver
from tests.support.child import in_child

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ok\x07example\x00\x00\x01\x00\x01"
EMPTY = b"\0\0"
"""A message over TCP without a byte, behind which nothing is one."""
DEADLINE_S = 20.0


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


FRAMED = framed(QUERY)


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


def peeked(connection: socket.socket) -> bytes:
    """What came so far, which stays."""
    try:
        return connection.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


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


def run_until(resolver: Resolver, done: Callable[[], bool]) -> None:
    late: list[bool] = []
    timer = resolver.loop.call_after(DEADLINE_S, lambda: late.append(True))
    resolver.loop.run_until(lambda: done() or bool(late))
    timer.cancel()
    assert not late


def run_until_closed(resolver: Resolver, connection: socket.socket) -> None:
    run_until(resolver, lambda: is_closed(connection))


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


def test_questions_that_come_together_are_all_answered(resolver: Resolver, listeners: Listeners) -> None:
    """As a C library sends those for both kinds of addresses."""
    failure = framed(dns.failure(QUERY))
    with client(listeners) as asks:
        asks.sendall(FRAMED + FRAMED + FRAMED[:5])
        run_until(resolver, lambda: len(peeked(asks)) >= 2 * len(failure))
        asks.sendall(FRAMED[5:])
        run_until(resolver, lambda: len(peeked(asks)) >= 3 * len(failure))
        assert peeked(asks) == 3 * failure
    run_until(resolver, lambda: not resolver._streams)


def test_who_sends_nonsense_over_tcp_is_not_listened_to(resolver: Resolver, listeners: Listeners) -> None:
    with client(listeners) as asks:
        asks.sendall(FRAMED + EMPTY)
        run_until_closed(resolver, asks)
    assert not resolver._streams


@pytest.fixture
def no_collection() -> Iterator[None]:
    """As in a guard, which begins during a start."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_client_that_has_gone_is_forgotten(resolver: Resolver, listeners: Listeners) -> None:
    with client(listeners) as asks:
        asks.sendall((1000).to_bytes(2, "big") + b"x")
        run_until(resolver, lambda: any(stream._received for stream in resolver._streams))
    stream = next(iter(resolver._streams))
    gone = weakref.ref(stream)
    run_until(resolver, lambda: not resolver._streams)
    assert stream._received == b""  # its timer is not due yet
    del stream
    resolver.loop._timers.clear()
    assert gone() is None


@pytest.mark.usefixtures("no_collection")
def test_a_question_that_was_answered_is_forgotten(resolver: Resolver) -> None:
    resolver.servers = ("127.0.0.1",)
    answers: list[bytes] = []
    resolver.ask(QUERY, socket.SOCK_DGRAM, answers.append)
    gone = weakref.ref(resolver._at_work[0])
    resolver._at_work[0].give_up()
    assert answers == [dns.failure(QUERY)]
    resolver.loop._timers.clear()
    assert gone() is None


def test_a_flood_of_questions_keeps_no_timer_waiting(listeners: Listeners) -> None:
    asked: list[str] = []
    before: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as floods:

        def ask_again(name: str) -> bool:
            asked.append(name)
            if len(asked) < 1000:
                floods.sendto(QUERY, listeners.udp.getsockname())
            return False

        resolver = Resolver(Loop(), listeners, (), is_allowed=ask_again, let_in=lambda _name, _addresses: None)
        floods.sendto(QUERY, listeners.udp.getsockname())
        resolver.loop.call_after(0, lambda: before.append(len(asked)))
        resolver.loop.run_until(lambda: bool(before))
        assert 0 < before[0] < 1000
        run_until(resolver, lambda: len(asked) == 1000)


@pytest.mark.parametrize("nonsense", [EMPTY, b"\1\0half"])
def test_a_server_over_tcp_is_left_for_nonsense_and_another_one_asked(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, nonsense: bytes
) -> None:
    first = socket.create_server(("127.0.0.1", 0))
    second = socket.create_server(("127.0.0.2", first.getsockname()[1]))
    monkeypatch.setattr("haconiwa.isolation.net.resolver._PORT", first.getsockname()[1])
    monkeypatch.setattr("haconiwa.isolation.net.resolver._TCP_WITHIN_S", 3600.0)
    resolver.servers = ("127.0.0.1", "127.0.0.2")
    answers: list[bytes] = []
    resolver.ask(QUERY, socket.SOCK_STREAM, answers.append)
    with first, second, first.accept()[0] as bad:
        bad.sendall(nonsense)
        if nonsense != EMPTY:
            bad.shutdown(socket.SHUT_WR)
        run_until(resolver, lambda: resolver._at_work[0]._servers == [])
        with second.accept()[0] as good:
            run_until(resolver, lambda: len(peeked(good)) == len(FRAMED))
            right = dns.refusal(good.recv(1000)[2:])
            good.sendall(framed(dns.with_id(right, ~dns.Question(right).id & 0xFFFF)) + framed(right))
            run_until(resolver, lambda: bool(answers))
    assert answers == [dns.refusal(QUERY)]
