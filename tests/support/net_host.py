"""A machine of the test's own to make networks on: a network and a mount namespace, and another machine beside it.

The real machine's interfaces, routes and rules are never touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.program import Program

HOST, LAN = "192.0.2.1", "192.0.2.2"
HOST6, LAN6 = "2001:db8::1", "2001:db8::2"

_HOLD = """\
mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up &&
echo 1 > /proc/sys/net/ipv6/conf/default/accept_ra && echo ready && exec cat
"""
_WRAPPER = """\
#!/bin/sh
exec nsenter --net=/proc/{pid}/ns/net --mount=/proc/{pid}/ns/mnt -- {program} "$@"
"""

SERVER = """\
import socket, sys
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer  # HTTPServer would look for its own name, for 10 s

class Who(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{sys.argv[1]} answers {self.client_address[0]}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

class Server(TCPServer):
    allow_reuse_address = True
    address_family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET

with Server((sys.argv[2], int(sys.argv[3])), Who) as server:
    print("ready", flush=True)
    server.serve_forever()
"""
"""A web server that says who asked. Arguments: its name, address and port."""

FETCH = """\
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for url in sys.argv[1:]:
    try:
        print(opener.open(url, timeout=5).read().decode().strip())
    except OSError as error:
        print("failed:", error)
"""
"""A client that prints what it gets, or why it gets nothing."""

UDP_SERVER = """\
import socket, sys
served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
served.bind(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, client = served.recvfrom(100)
    served.sendto(b"udp " + client[0].encode() + b" " + data, client)
"""
"""Sends back what it gets and from whom. Argument: its port."""

ASK_UDP = """\
import socket, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(5)
asked.connect((sys.argv[1], int(sys.argv[2])))
asked.send(b"hello\\n")
print(asked.recv(100).decode().strip())
"""


class Machine:
    """A process that holds namespaces, and what is run in them."""

    def __init__(self, *, mounts: bool) -> None:
        script = _HOLD if mounts else "ip link set lo up && echo ready && exec cat"
        options = ["--net", "--mount"] if mounts else ["--net"]
        self._holder = subprocess.Popen(
            ["unshare", *options, "--", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        self.pid = self._holder.pid
        self._options = [f"--net=/proc/{self.pid}/ns/net"]
        if mounts:
            self._options.append(f"--mount=/proc/{self.pid}/ns/mnt")

    def argv(self, *argv: str) -> list[str]:
        """A command line that runs another one there."""
        return ["nsenter", *self._options, "--", *argv]

    def __call__(self, *argv: str, stdin: str = "", expect: int | None = 0) -> str:
        """Run a program there; what it prints."""
        done = subprocess.run(self.argv(*argv), input=stdin, capture_output=True, text=True, timeout=30)
        assert expect is None or done.returncode == expect, (argv, done.stdout, done.stderr)
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Run commands of ip."""
        self("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    def fetch(self, *urls: str) -> list[str]:
        """What web servers answer."""
        return self(sys.executable, "-c", FETCH, *urls).splitlines()

    @contextlib.contextmanager
    def server(self, name: str, address: str, port: int) -> Iterator[None]:
        """A web server."""
        with self.background(sys.executable, "-c", SERVER, name, address, str(port)):
            yield

    @contextlib.contextmanager
    def udp_server(self, pid: int, port: int) -> Iterator[None]:
        """A UDP server in the network of a process."""
        argv = ("nsenter", f"--net=/proc/{pid}/ns/net", "--", sys.executable, "-c", UDP_SERVER, str(port))
        with self.background(*argv):
            yield

    @contextlib.contextmanager
    def background(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """A program that prints a line when it is ready, and is ended with the block."""
        process = subprocess.Popen(self.argv(*argv), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.communicate()

    def links(self) -> set[str]:
        """Names of the interfaces but for the loopback."""
        lines = self("ip", "-o", "link").splitlines()
        return {line.split()[1].partition("@")[0].rstrip(":") for line in lines} - {"lo"}

    def rules(self) -> str:
        """All rules of nftables."""
        return self("nft", "list", "ruleset")

    def close(self) -> None:
        """End it, and with it all that is in its namespaces."""
        self._holder.kill()
        self._holder.communicate()


class NetHost(Machine):
    """The host of a test's containers, and the machine ``lan`` on its wire ``wan0``.

    Attributes:
        haconiwa: The program, as run on this host.
        lan: The other machine: it knows no way to the containers.
    """

    def __init__(self, haconiwa: Program, folder: Path) -> None:
        super().__init__(mounts=True)
        self.lan = Machine(mounts=False)
        wrapper = folder / "haconiwa-on-host"
        wrapper.write_text(_WRAPPER.format(pid=self.pid, program=haconiwa.path), encoding="utf-8")
        wrapper.chmod(0o755)
        self.haconiwa = Program(str(wrapper), {key: value for key, value in os.environ.items() if "HACONIWA" in key})
        self.ip(
            f"link add wan0 type veth peer name eth0 netns {self.lan.pid}",
            f"addr add {HOST}/24 dev wan0",
            f"addr add {HOST6}/64 dev wan0 nodad",
            "link set wan0 up",
            f"route add default via {LAN}",
        )
        self.lan.ip(f"addr add {LAN}/24 dev eth0", f"addr add {LAN6}/64 dev eth0 nodad", "link set eth0 up")

    def close(self) -> None:
        self.lan.close()
        super().close()
