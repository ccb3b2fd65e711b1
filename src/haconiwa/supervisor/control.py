"""The control socket of a supervisor: others of this machine ask it what it knows, and tell it what to do.

``/run/haconiwa/NAME/control`` is a SOCK_SEQPACKET socket of mode 0600, for the owner's processes and root's alone. A
request is one packet with a JSON object, ``{"do": "status"}``; each gets one packet back, ``{"ok": true, ...}`` or
``{"ok": false, "error": [lines]}``. After ``{"do": "events"}`` every event of the container follows as a packet of its
own. Nothing waits for a client: one that does not take its packets is let go.
See: unix(7), docs/design/control-socket.md
"""

from __future__ import annotations

import os
import struct
from _socket import AF_UNIX, SO_PEERCRED, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOL_SOCKET, socket

from haconiwa.lifecycle.json_text import to_json
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from haconiwa.host.loop import Loop

    Request = dict[str, Any]
    Answer = dict[str, object]

_LARGEST_PACKET = 65536
_MOST_CLIENTS = 64
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid
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

    def tell(self, event: object) -> None:
        """Send an event to all who asked for them."""
        for fd in list(self._listeners):
            self._send(fd, event)

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
                packet = self._clients[fd].recv(_LARGEST_PACKET + 1)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet or len(packet) > _LARGEST_PACKET:
                self._drop(fd)
                return
            self._take(fd, packet)

    def _take(self, fd: int, packet: bytes) -> None:
        from haconiwa.lifecycle.json_reading import from_json

        try:
            request = from_json(packet.decode())
        except ValueError as error:
            self._send(fd, {"ok": False, "error": [f"error: no request: {error}"]})
            return
        if not isinstance(request, dict):
            self._send(fd, {"ok": False, "error": ["error: no request: it is no object"]})
            return
        if request.get("do") == "events":
            self._listeners.add(fd)
        self._send(fd, self._answer(request, _peer(self._clients[fd])))

    def _send(self, fd: int, message: object) -> None:
        try:
            self._clients[fd].send(to_json(message).encode("utf-8", "replace"))
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


def _peer(client: socket) -> Peer:
    pid, uid, _gid = _CREDENTIALS.unpack(client.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid=pid, uid=uid)
