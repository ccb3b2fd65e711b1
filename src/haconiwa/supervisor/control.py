"""The control socket of a supervisor: others of this machine ask it what it knows, and tell it what to do.

``/run/haconiwa/NAME/control`` is a SOCK_SEQPACKET socket of mode 0600, for the owner's processes and root's alone. A
request is one packet with a JSON object, ``{"do": "status"}``; each gets one packet back, ``{"ok": true, ...}`` or
``{"ok": false, "error": [lines]}``. After ``{"do": "events"}`` every event of the container follows as a packet of its
own. Nothing waits for a client: one that does not take its packets is let go.
See: unix(7), docs/design/control-socket.md
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, socket

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.json_text import to_json
from haconiwa.lifecycle.packets import LARGEST_PACKET, credentials
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from haconiwa.host.loop import Loop

    Request = dict[str, Any]
    Answer = dict[str, object]

_MOST_CLIENTS = 64
_OF_NEW_SOCKETS = SOCK_NONBLOCK | SOCK_CLOEXEC


class Peer(Record):
    """Who asks, as the kernel knows it."""

    pid: int
    uid: int


class Control:
    """The socket and those who are connected to it.

    Args:
        loop: Where they are watched.
        folder: The container's runtime directory.
        answer: Called with a request that is an object; what it returns is sent back.
    """

    def __init__(self, loop: Loop, folder: str, answer: Callable[[Request, Peer], Answer]) -> None:
        self._loop = loop
        self._answer = answer
        self._listener = _listen(folder)
        self._clients: dict[int, socket] = {}
        self._listeners: set[int] = set()
        loop.watch(self._listener.fileno(), lambda _events: self._accept())

    def drain(self) -> None:
        """Take in whatever has been sent so far."""
        self._accept()
        for fd in list(self._clients):
            self._receive(fd)

    def tell(self, event: Mapping[str, object]) -> None:
        """Send an event to all who asked for them; without its details when they are too long."""
        packet = _packet(event) or _packet({key: event.get(key) for key in ("time", "name", "event")})
        for fd in list(self._listeners):
            self._send(fd, packet)

    def close(self) -> None:
        """Let everybody go."""
        for fd in list(self._clients):
            self._drop(fd)
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        listener: Any = self._listener  # the stubs do not know what ``socket.socket`` itself calls
        while True:
            try:
                fd, _address = listener._accept()
            except OSError:
                return
            client = socket(fileno=fd)
            client.setblocking(False)
            if len(self._clients) >= _MOST_CLIENTS or _peer(client).uid not in (0, os.geteuid()):
                client.close()
                continue
            self._clients[fd] = client
            self._loop.watch(fd, lambda _events, fd=fd: self._receive(fd))  # type: ignore[misc]

    def _receive(self, fd: int) -> None:
        """Answer the requests of one client; one packet more than allowed ends it."""
        while fd in self._clients:
            try:
                packet = self._clients[fd].recv(LARGEST_PACKET + 1)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet or len(packet) > LARGEST_PACKET:
                self._drop(fd)
                return
            self._take(fd, packet)

    def _take(self, fd: int, packet: bytes) -> None:
        from haconiwa.lifecycle.json_reading import from_json

        try:
            request = from_json(packet.decode())
        except ValueError as error:
            self._refuse(fd, "no request", str(error))
            return
        if not isinstance(request, dict):
            self._refuse(fd, "no request", "it is no object")
            return
        if request.get("do") == "events":
            self._listeners.add(fd)
        if packet := _packet(self._answer(request, _peer(self._clients[fd]))):
            self._send(fd, packet)
        else:
            self._refuse(fd, "cannot answer", f"it would take more than {LARGEST_PACKET} bytes")

    def _refuse(self, fd: int, what: str, why: str) -> None:
        self._send(fd, _packet({"ok": False, "error": ContainerError(what, why=why).lines()}))

    def _send(self, fd: int, packet: bytes) -> None:
        client = self._clients.get(fd)
        if client is None:
            return  # its request made for an event that it did not take
        try:
            client.send(packet)
        except OSError:  # EAGAIN too: whoever does not read is let go
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._listeners.discard(fd)
        client = self._clients.pop(fd, None)
        if client is not None:
            self._loop.unwatch(fd)
            client.close()


def _listen(folder: str) -> socket:
    """A listening socket in a folder, whatever the length of the folder's path."""
    listener = socket(AF_UNIX, SOCK_SEQPACKET | _OF_NEW_SOCKETS)
    os.fchmod(listener.fileno(), 0o600)  # which bind(2) gives to the file
    folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.unlink("control", dir_fd=folder_fd)
        except FileNotFoundError:
            pass
        listener.bind(f"/proc/self/fd/{folder_fd}/control")
    finally:
        os.close(folder_fd)
    listener.listen(_MOST_CLIENTS)
    return listener


def _packet(message: Mapping[str, object]) -> bytes:
    """What is sent; nothing when that is more than a client takes."""
    content = to_json(message).encode()
    return content if len(content) <= LARGEST_PACKET else b""


def _peer(client: socket) -> Peer:
    pid, uid = credentials(client)
    return Peer(pid=pid, uid=uid)
