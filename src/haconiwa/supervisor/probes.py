"""Looks from outside whether a container works. None of them makes the supervisor's one thread wait."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import unexpected
from haconiwa.host.loop import READABLE, WRITABLE
from haconiwa.host.tools import in_network_namespace, open_network_namespace
from haconiwa.isolation.confined import open_inside
from haconiwa.supervisor.errand import Errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from haconiwa.host.loop import Loop, Timer
    from haconiwa.spec.supervision import ProbeSpec
    from haconiwa.supervisor.supervisor import Supervisor

    Done = Callable[[bool], None]

_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
_MOST_READ = 1 << 20  # of its characters
_STATUS_END = 12  # of ``HTTP/1.1 200``


class Probe:
    """One way to look; at most one look is under way."""

    def look(self, timeout_s: float, done: Done) -> None:
        """Look, and call back once with the outcome, at once or within that time."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Give up a look that is under way; nothing is called back."""


def make_probe(spec: ProbeSpec, supervisor: Supervisor) -> Probe:
    """The probe that looks as a record says, at the container that runs now."""
    pid = supervisor.container.pid
    if spec.port is not None:
        return PortProbe(pid, spec.port)
    if spec.file is not None:
        return FileProbe(pid, spec.file)
    if spec.http is not None:
        return HttpProbe(supervisor.loop, pid, spec.http)
    return ExecProbe(supervisor, spec.exec)


class PortProbe(Probe):
    """Whether somebody listens on a TCP port, on any address, in the network of a process."""

    def __init__(self, pid: int, port: int) -> None:
        self._paths = (f"/proc/{pid}/net/tcp", f"/proc/{pid}/net/tcp6")
        self._port = f"{port:04X}"

    def look(self, timeout_s: float, done: Done) -> None:
        done(any(self._is_listened_on(path) for path in self._paths))

    def _is_listened_on(self, path: str) -> bool:
        """See: proc_net(5), Documentation/networking/proc_net_tcp.rst in the kernel's source.

        Linux shows all listening sockets before all others, which may be a hundred thousand: the rest is not read.
        """
        size = 0
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    _number, address, _other, state, _rest = line.split(maxsplit=4)
                    if state == _LISTENING and address.endswith(f":{self._port}"):
                        return True
                    size += len(line)
                    if size > _MOST_READ:
                        break
        except OSError:
            pass
        return False


class FileProbe(Probe):
    """Whether a path exists inside; no link leads the look outside."""

    def __init__(self, pid: int, path: str) -> None:
        self._pid = pid
        self._path = path

    def look(self, timeout_s: float, done: Done) -> None:
        try:
            root_fd = os.open(f"/proc/{self._pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            done(False)
            return
        try:
            os.close(open_inside(root_fd, self._path))
            found = True
        except OSError:
            found = False
        finally:
            os.close(root_fd)
        done(found)


class ExecProbe(Probe):
    """Whether a command exits with 0 in the container, confined as its first process is."""

    def __init__(self, supervisor: Supervisor, argv: tuple[str, ...]) -> None:
        self._supervisor = supervisor
        self._argv = argv
        self._errand: Errand | None = None

    def look(self, timeout_s: float, done: Done) -> None:
        from haconiwa.supervisor.attaching import run_quietly

        state = self._supervisor.state

        def ended(answer: bytes | None) -> None:
            self._errand = None
            done(answer == b"0")

        try:
            self._errand = Errand(self._supervisor.loop, lambda: run_quietly(state, self._argv), ended, timeout_s)
        except OSError as error:
            self._supervisor.report(unexpected("cannot look whether it is well", error))
            done(False)

    def cancel(self) -> None:
        if self._errand is not None:
            self._errand.abandon()


class HttpProbe(Probe):
    """Whether a URL answers with a status from 200 to 399 in the network of a process.

    The host is an address, or ``localhost``, which is tried in IPv4 and then in IPv6; nothing is ever looked up.
    """

    def __init__(self, loop: Loop, pid: int, url: str) -> None:
        authority, _, path = url.removeprefix("http://").partition("/")
        host, port = _split_authority(authority)
        self._loop = loop
        self._pid = pid
        self._addresses = ("127.0.0.1", "::1") if host == "localhost" else (host,)
        self._port = port
        self._request = f"GET /{path} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode("ascii")
        self._socket: socket | None = None
        self._timer: Timer | None = None
        self._left: list[str] = []
        self._done: Done = lambda _ok: None

    def look(self, timeout_s: float, done: Done) -> None:
        self._done = done
        self._left = list(self._addresses)
        self._timer = self._loop.call_after(timeout_s, lambda: self._finish(False))
        self._try_next()

    def cancel(self) -> None:
        self._close()
        if self._timer is not None:
            self._timer.cancel()

    def _try_next(self) -> None:
        self._close()
        while self._left:
            address = self._left.pop(0)
            try:
                self._socket = socket_in(self._pid, address)
                if self._socket.connect_ex((address, self._port)) in (0, errno.EINPROGRESS):
                    self._answer = b""
                    self._loop.watch(self._socket.fileno(), lambda _events: self._connected(), WRITABLE)
                    return
            except OSError:
                pass
            self._close()
        self._finish(False)

    def _connected(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is what was watched
        try:
            self._socket.send(self._request)
        except OSError:
            self._try_next()
            return
        self._loop.watch(self._socket.fileno(), lambda _events: self._received(), READABLE)

    def _received(self) -> None:
        """The status line is all that is wanted: ``HTTP/1.1 200 OK``."""
        assert self._socket is not None  # noqa: S101 - it is what was watched
        try:
            chunk = self._socket.recv(256)
        except OSError:
            chunk = b""
        self._answer += chunk
        if chunk and len(self._answer) < _STATUS_END:
            return
        version, _, rest = self._answer.partition(b" ")
        status = rest[:3]
        self._finish(version.startswith(b"HTTP/1.") and status.isdigit() and 200 <= int(status) <= 399)

    def _finish(self, ok: bool) -> None:
        self.cancel()
        self._done(ok)

    def _close(self) -> None:
        if self._socket is not None:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None


def _split_authority(authority: str) -> tuple[str, int]:
    """Host without brackets, and port."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, int(rest.removeprefix(":") or 80)
    host, _, port = authority.partition(":")
    return host, int(port or 80)


def socket_in(pid: int, address: str) -> socket:
    """A TCP socket that does not block and belongs to the network namespace of a process.

    The calling thread visits it for the moment in which the socket is made. Runs in: supervisor.

    Args:
        pid: Of the process.
        address: IPv4 or IPv6; decides the family.

    Raises:
        OSError: The namespace is gone, or cannot be entered.
    """
    from _socket import AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket

    family = AF_INET6 if ":" in address else AF_INET
    there_fd = open_network_namespace(pid)
    try:
        return in_network_namespace(there_fd, lambda: socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC))
    finally:
        os.close(there_fd)
