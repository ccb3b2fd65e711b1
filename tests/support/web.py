"""A web server on loopback that serves one file, and what can go wrong with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves one file, and what can go wrong with it.

    Attributes:
        content: The file.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked_fd, self.tell_fd = os.pipe()
        os.set_blocking(self.asked_fd, False)
        self._asked = b""

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for."""
        try:
            self._asked += os.read(self.asked_fd, 1 << 16)
        except BlockingIOError:
            pass  # no more of them
        return self._asked.decode().splitlines()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        os.write(server.tell_fd, f"{self.path}\n".encode())
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
        elif self.path == "/outside":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(server.content) * (2 if self.path == "/short" else 1)))
            self.end_headers()
            self.wfile.write(server.content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(content: bytes) -> Iterator[Server]:
    """A server that runs meanwhile, in a process of its own: who builds forks, and must not do so beside a thread."""
    server = Server(content)
    pid = os.fork()
    if pid == 0:
        try:
            server.serve_forever()
        finally:
            os._exit(1)
    try:
        yield server
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        server.server_close()
        os.close(server.asked_fd)
        os.close(server.tell_fd)
