"""A small resolver for one container: passes questions on to the host's name servers, and lets answers in.

It listens in the container's network namespace and asks from the host's. With a list of allowed connections only
names on it are asked for, and the addresses are in the sets of nftables before the container learns them.
See: RFC 1035, RFC 7766 (over TCP).
"""

from __future__ import annotations

import os
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IP,
    SO_REUSEADDR,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

from haconiwa.host.loop import READABLE, WRITABLE
from haconiwa.isolation.net import dns
from haconiwa.isolation.net.etc import FORWARDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from haconiwa.host.loop import Loop, Timer

_PORT = 53
_IP_FREEBIND = 15  # the loopback interface may not be up yet
_LARGEST = 1 << 16
_ANSWERED_WITHIN_S = 2.0
_TCP_WITHIN_S = 10.0
_MOST_AT_ONCE = 128
_MOST_STREAMS = 32
_MOST_IN_A_ROW = 64  # datagrams; who sends on and on keeps no timer waiting
_STREAM_TAKES = 4096  # bytes, for the same reason
_ACCEPTS_AGAIN_AFTER_S = 1.0
_BACKLOG = 16


class Listeners:
    """The sockets on which a container asks; made in its network namespace.

    Raises:
        OSError: They cannot be made.
    """

    def __init__(self) -> None:
        self.udp = _listener(SOCK_DGRAM)
        self.tcp = _listener(SOCK_STREAM)
        self.tcp.listen(_BACKLOG)

    def fds(self) -> tuple[int, int]:
        """Their descriptors."""
        return self.udp.fileno(), self.tcp.fileno()

    def close(self) -> None:
        """Let go of them."""
        self.udp.close()
        self.tcp.close()


def _listener(kind: int) -> socket:
    made = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC)
    made.setsockopt(IPPROTO_IP, _IP_FREEBIND, 1)
    if kind == SOCK_STREAM:
        made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.bind((FORWARDER, _PORT))
    return made


class Resolver:
    """Answers what comes to the listeners.

    Args:
        loop: Calls back.
        listeners: Of the container.
        servers: Addresses to ask, in this order.
        is_allowed: Whether a name may be asked for.
        let_in: Called with a name and the addresses answered, before the container gets them.
    """

    def __init__(
        self,
        loop: Loop,
        listeners: Listeners,
        servers: tuple[str, ...],
        *,
        is_allowed: Callable[[str], bool],
        let_in: Callable[[str, list[tuple[int, int, int]]], None],
    ) -> None:
        self.loop = loop
        self.servers = servers
        self._listeners = listeners
        self._is_allowed = is_allowed
        self._let_in = let_in
        self._at_work: list[Exchange] = []
        self._streams: set[Stream] = set()
        loop.watch(listeners.udp.fileno(), lambda _events: self._take_udp())
        self._watch_tcp()

    def _take_udp(self) -> None:
        for _ in range(_MOST_IN_A_ROW):
            try:
                query, client = self._listeners.udp.recvfrom(_LARGEST)
            except OSError:
                return  # no more, or the network went down
            self.ask(query, SOCK_DGRAM, self._sender(client))

    def _sender(self, client: Any) -> Callable[[bytes], None]:
        def send(answer: bytes) -> None:
            try:
                self._listeners.udp.sendto(answer, client)
            except OSError:
                pass  # it will ask again

        return send

    def _watch_tcp(self) -> None:
        self.loop.watch(self._listeners.tcp.fileno(), lambda _events: self._take_tcp())

    def _take_tcp(self) -> None:
        try:
            fd, _address = self._listeners.tcp._accept()  # type: ignore[attr-defined]  # of _socket, without socket
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # Without a descriptor to spare the client stays where it is, and the listener readable.
            self.loop.unwatch(self._listeners.tcp.fileno())
            self.loop.call_after(_ACCEPTS_AGAIN_AFTER_S, self._watch_tcp)
            return
        connection = socket(AF_INET, SOCK_STREAM, 0, fd)
        if len(self._streams) >= _MOST_STREAMS:
            connection.close()
            return
        connection.setblocking(False)
        self._streams.add(Stream(self, connection))

    def closed(self, stream: Stream) -> None:
        """A client over TCP has gone."""
        self._streams.discard(stream)

    def ask(self, query: bytes, kind: int, answer: Callable[[bytes], None]) -> None:
        """Have a query answered, unless it is none."""
        try:
            query = dns.passed_on(query)
        except dns.NoQueryError as error:
            if error.answer:
                answer(error.answer)
            return
        question = dns.Question(query)
        if not self._is_allowed(question.name):
            answer(dns.refusal(query))
            return
        if len(self._at_work) >= _MOST_AT_ONCE:
            self._at_work[0].give_up()
        exchange = Exchange(self, query, question, kind, answer)
        self._at_work.append(exchange)
        exchange.ask_next()  # which may be its end already

    def done(self, exchange: Exchange, message: bytes | None, answer: Callable[[bytes], None]) -> None:
        """An exchange has ended, with a message of a server's or without."""
        if exchange in self._at_work:
            self._at_work.remove(exchange)
        if message is None:
            answer(dns.failure(exchange.query))
            return
        try:
            self._let_in(exchange.question.name, dns.addresses(message))
        except (ValueError, OSError):
            answer(dns.failure(exchange.query))
            return
        answer(dns.with_id(message, exchange.question.id))


class Exchange:
    """One question on its way to the servers, one after the other."""

    def __init__(
        self, resolver: Resolver, query: bytes, question: dns.Question, kind: int, answer: Callable[[bytes], None]
    ) -> None:
        self.query = query
        self.question = question
        self._resolver = resolver
        self._kind = kind
        self._answer = answer
        self._id = int.from_bytes(os.urandom(2), "big")
        self._servers = list(resolver.servers)
        self._socket: socket | None = None
        self._received = b""
        self._timer: Timer | None = None

    def ask_next(self) -> None:
        """Ask the next server; when there is none, that was it."""
        self._leave()
        if not self._servers:
            self._resolver.done(self, None, self._answer)
            return
        server = self._servers.pop(0)
        seconds = _ANSWERED_WITHIN_S if self._kind == SOCK_DGRAM else _TCP_WITHIN_S
        self._timer = self._resolver.loop.call_after(seconds, self.ask_next)
        try:
            made = socket(AF_INET6 if ":" in server else AF_INET, self._kind | SOCK_NONBLOCK | SOCK_CLOEXEC)
        except OSError:
            self.ask_next()
            return
        self._socket = made
        try:
            made.connect((server, _PORT))
        except BlockingIOError:
            pass
        except OSError:
            self.ask_next()
            return
        self._resolver.loop.watch(made.fileno(), lambda _events: self._send(), WRITABLE)

    def _send(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is what was watched
        message = dns.with_id(self.query, self._id)
        if self._kind == SOCK_STREAM:
            message = len(message).to_bytes(2, "big") + message
        try:
            self._socket.send(message)  # a query always fits into the empty buffer
        except OSError:
            self.ask_next()
            return
        self._resolver.loop.watch(self._socket.fileno(), lambda _events: self._receive(), READABLE)

    def _receive(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is what was watched
        try:
            data = self._socket.recv(_LARGEST)
            messages = self._whole(data)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self.ask_next()
            return
        answer = next(filter(self._is_answer, messages), None)
        if answer is not None:
            self._leave()
            self._resolver.done(self, answer, self._answer)
        elif self._kind == SOCK_STREAM and not data:
            self.ask_next()

    def _whole(self, data: bytes) -> list[bytes]:
        """The messages that are whole with what was received now."""
        if self._kind == SOCK_DGRAM:
            return [data]
        messages, self._received = dns.parted(self._received + data)
        return messages

    def _is_answer(self, message: bytes) -> bool:
        """Whether a message of the server's is the one; what answers something else may be somebody's forgery."""
        try:
            question = dns.Question(message)
        except ValueError:
            return False
        asked = self.question
        return dns.is_response(message) and (question.id, question.name, question.type) == (
            self._id, asked.name, asked.type,
        )  # fmt: skip

    def give_up(self) -> None:
        """Answer that no server could be asked."""
        self._servers.clear()
        self.ask_next()

    def _leave(self) -> None:
        self._received = b""
        if self._timer:
            self._timer.cancel()
            self._timer = None  # each would keep the other
        if self._socket is not None:
            self._resolver.loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None


class Stream:
    """A client that asks over TCP, also before it was answered, until its time is over. See: RFC 7766, 6.2.1."""

    def __init__(self, resolver: Resolver, connection: socket) -> None:
        self._resolver = resolver
        self._connection = connection
        self._received = b""
        self._timer: Timer | None = resolver.loop.call_after(_TCP_WITHIN_S, self._close)
        resolver.loop.watch(connection.fileno(), lambda _events: self._receive())

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_STREAM_TAKES)
            queries, self._received = dns.parted(self._received + data)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._close()
            return
        if not data:
            self._close()
        for query in queries:
            if self._is_open():
                self._resolver.ask(query, SOCK_STREAM, self._answer)

    def _is_open(self) -> bool:
        return self._connection.fileno() >= 0

    def _answer(self, message: bytes) -> None:
        if not self._is_open():
            return
        self._connection.setblocking(True)
        self._connection.settimeout(_ANSWERED_WITHIN_S)
        try:
            self._connection.sendall(len(message).to_bytes(2, "big") + message)
            self._connection.setblocking(False)
        except OSError:
            self._close()

    def _close(self) -> None:
        self._received = b""
        if self._timer:
            self._timer.cancel()
            self._timer = None  # each would keep the other
        self._resolver.closed(self)
        if self._is_open():
            self._resolver.loop.unwatch(self._connection.fileno())
            self._connection.close()
