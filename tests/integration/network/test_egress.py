"""The list of allowed connections: what is on it passes, what is not is refused and reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.integration.box import Box, Watched, wait_until
from tests.integration.network.conftest import MakeBox
from tests.support.net_host import FETCH, HOST, LAN, NetHost

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge", "dnsmasq")

PYTHON = os.path.realpath("/usr/bin/python3")
"""The host's own: the one that runs the tests may be somewhere else than in /usr."""

NAMES = {"ok.example": LAN, "deep.wild.example": LAN, "bad.example": "192.0.2.9"}


@pytest.fixture
def dns(host: NetHost, run_dirs: RunDirs) -> Iterator[None]:
    """A name server on the other machine."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]
    argv += [f"--address=/{name}/{address}" for name, address in NAMES.items()]
    argv += ["--log-facility=-", "--pid-file"]
    script = 'echo ready; exec "$@" 2>&1'
    with host.lan.background("sh", "-c", script, "sh", *argv):
        wait_until(lambda: ":53 " in host.lan("ss", "-lnu"), "dnsmasq does not listen")
        yield


@pytest.fixture
def python_box(host: NetHost, make_box: MakeBox, run_dirs: RunDirs) -> Box:
    """A container that shows the host's /usr, so that a whole C library resolves its names."""
    box = make_box("limited")
    for name in ("lib", "lib64", "bin", "sbin"):
        if os.path.islink(f"/{name}"):
            path = box.root / name
            if path.is_dir():
                for entry in path.iterdir():
                    entry.unlink()
                path.rmdir()
            path.symlink_to(os.readlink(f"/{name}"))
    (box.root / "etc/nsswitch.conf").write_text("hosts: files dns\n", encoding="ascii")
    return box


def settings(*allowed: str, more: str = "") -> str:
    return f"""
config.add_mount_point("/usr", to="/usr", readonly=True)
config.network.dns = [{LAN!r}]
config.network.allow_egress(*{allowed!r})
{more}
"""


def fetched(box: Box, *urls: str) -> list[str]:
    return box.run(PYTHON, "-I", "-c", FETCH, *urls).stdout.splitlines()


def denied(host: NetHost, box: Box) -> list[str]:
    lines = host.haconiwa("events", "--json", box.name).stdout.splitlines()
    return [event["target"] for event in map(json.loads, lines) if event["event"] == "egress_denied"]


def test_an_adopted_container_is_guarded_again(
    host: NetHost, dns: None, python_box: Box, watched: Callable[[int], Watched]
) -> None:
    python_box.write(settings("ok.example:8000"))
    python_box.haconiwa("start", "-D", python_box.file, "--", "/bin/busybox", "sleep", "1000")
    supervisor = watched(python_box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    before = python_box.attach("/bin/busybox", "nslookup", "ok.example", expect=None)
    assert LAN not in before.stdout
    host.haconiwa("start", "--adopt", python_box.file)
    urls = ("http://ok.example:8000/", "http://bad.example:8000/")
    with host.lan.server("lan", LAN, 8000):
        ok, bad = python_box.attach(PYTHON, "-I", "-c", FETCH, *urls).stdout.splitlines()
    assert ok.startswith("lan answers")
    assert bad.startswith("failed:")
    assert denied(host, python_box) == ["name bad.example"]
    python_box.stop()


TAKES_THE_ADDRESS = """
import os, socket, sys, time
made = [socket.socket(type=kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
for one in made:
    while one.getsockname()[1] != 53:
        try:
            one.bind(("127.0.0.11", 53))
        except OSError:
            time.sleep(0.01)
if os.fork() == 0:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    os.dup2(1, 2)
    time.sleep(1000)
"""
"""Once the guard has ended."""


def test_who_takes_the_resolvers_address_is_adopted_without_one(
    host: NetHost, dns: None, python_box: Box, watched: Callable[[int], Watched]
) -> None:
    python_box.write(settings("ok.example:8000", f"{LAN}:8001"))
    python_box.haconiwa("start", "-D", python_box.file, "--", "/bin/busybox", "sleep", "1000")
    supervisor = watched(python_box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    python_box.attach(PYTHON, "-I", "-c", TAKES_THE_ADDRESS)
    host.haconiwa("start", "--adopt", python_box.file)
    log = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{python_box.name}.supervisor.log"
    assert "its names are not answered: a program in it listens at the address of its resolver" in log.read_text()
    assert python_box.status() == "running"
    urls = (f"http://{LAN}:8001/", f"http://{LAN}:8000/")
    with host.lan.server("lan", LAN, 8000), host.lan.server("lan", LAN, 8001):
        ok, bad = python_box.attach(PYTHON, "-I", "-c", FETCH, *urls).stdout.splitlines()
    assert ok.startswith("lan answers")
    assert bad.startswith("failed:")
    wait_until(lambda: bool(denied(host, python_box)), "the guard tells nothing")
    assert denied(host, python_box) == [f"tcp {LAN}:8000"]
    python_box.stop()


@pytest.mark.setting("network.allow_egress", not_on=["v2"])
def test_allowed_passes_and_denied_is_refused_and_reported(
    host: NetHost, dns: None, make_box: MakeBox, python_box: Box
) -> None:
    neighbour = make_box(
        "near", "config.add_mount_point('/usr', to='/usr')\nconfig.network.container_ip = '10.0.0.200'"
    )
    neighbour.daemon("busybox httpd -p 80 -h /www && echo ready && exec sleep 1000")
    python_box.write(settings("ok.example:8000", "*.wild.example", "10.0.0.1:8002"))
    servers = [host.lan.server("lan", LAN, port) for port in (8000, 8001)]
    with servers[0], servers[1], host.server("host", "10.0.0.1", 8002), host.server("host", "10.0.0.1", 8003):
        by_address, allowed, other_port, wild, bad, here, there, near = fetched(
            python_box,
            f"http://{LAN}:8000/",
            "http://ok.example:8000/",
            "http://ok.example:8001/",
            "http://deep.wild.example:8001/",
            "http://bad.example/",
            "http://10.0.0.1:8002/",
            "http://10.0.0.1:8003/",
            "http://10.0.0.200/cgi-bin/who",
        )
    assert "refused" in by_address  # nobody has asked for the name yet
    assert allowed.startswith("lan answers")
    assert "refused" in other_port
    assert wild.startswith("lan answers")
    assert bad.startswith("failed:")
    assert here.startswith("host answers")
    assert "refused" in there
    assert "refused" in near
    reported = denied(host, python_box)
    assert reported[:2] == [f"tcp {LAN}:8000", f"tcp {LAN}:8001"]
    assert set(reported[2:]) == {"name bad.example", "tcp 10.0.0.1:8003", "tcp 10.0.0.200:80"}


UDP = """\
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    asked.sendto(b"x", ("192.0.2.2", 53))
except OSError as error:
    print(error)
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except OSError as error:
    print(error)
"""


def test_in_a_user_namespace(host: NetHost, make_box: MakeBox) -> None:
    maps = "".join(f"config.namespace.set_{kind}_mapping(min=0, max=65536, offset=100000)\n" for kind in ("uid", "gid"))
    box = make_box("mapped", f"{maps}config.network.allow_egress('10.0.0.1:8000')")
    os.chown(box.root, 100000, 100000)
    with host.server("host", "0.0.0.0", 8000), host.server("host", "0.0.0.0", 8001):
        shown = box.run("sh", "-c", "for n in 0 1; do wget -O- http://10.0.0.1:800$n/; done", expect=1)
    assert "host answers 10.0.0." in shown.stdout
    assert "refused" in shown.stderr
    assert denied(host, box) == ["tcp 10.0.0.1:8001"]


def test_nothing_is_allowed(host: NetHost, python_box: Box) -> None:
    python_box.write(settings())
    shown = python_box.run(PYTHON, "-I", "-c", UDP).stdout.splitlines()
    assert shown == ["[Errno 1] Operation not permitted"] * 2
    assert denied(host, python_box) == [f"udp {LAN}:53"]


def test_who_connects_to_it_gets_answers(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("server", "config.network.allow_egress()\nconfig.network.publish(8080, to=80)")
    box.daemon("httpd -p 80 -h /www && echo ready && exec sleep 1000")
    assert "answers" in host.lan.fetch("http://192.0.2.1:8080/cgi-bin/who")[0]


def test_names_over_tcp(host: NetHost, dns: None, python_box: Box) -> None:
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ok\x07example\x00\x00\x01\x00\x01"
    code = (
        "import socket\n"
        "with socket.create_connection(('127.0.0.11', 53), 5) as asked:\n"
        "    for _ in range(2):\n"
        f"        asked.sendall({len(query).to_bytes(2, 'big') + query!r})\n"
        "        print(asked.recv(1000)[-4:])\n"
    )
    python_box.write(settings("ok.example:8000"))
    shown = python_box.run(PYTHON, "-I", "-c", code).stdout.splitlines()
    assert shown == [str(bytes(map(int, LAN.split("."))))] * 2


def test_a_c_library_that_asks_over_tcp(host: NetHost, dns: None, python_box: Box) -> None:
    """It sends both questions at once, and one that is not answered would make it fail."""
    code = (
        "import os, socket\n"
        "os.environ['RES_OPTIONS'] = 'use-vc'\n"
        "print({found[4][0] for found in socket.getaddrinfo('ok.example', 8000)})\n"
    )
    python_box.write(settings("ok.example:8000"))
    assert python_box.run(PYTHON, "-I", "-c", code).stdout == f"{ {LAN} }\n"


SEES = """\
import socket, sys
seen = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
seen.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, client = seen.recvfrom(65536)
    print(query[2:].hex(), flush=True)
    seen.sendto(query[:2] + b"\\x81\\x80" + query[4:], client)
"""
"""A name server that prints what it is asked, without the id, and has no answers."""

ASKS = """\
import socket, sys
for query in map(bytes.fromhex, sys.argv[1:]):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(10)
        asked.sendto(query, ("127.0.0.11", 53))
        answer = asked.recv(1000)
        print(answer[2] >> 3 & 15, answer[3] & 15)
"""
"""Prints operation and code of each answer."""


def test_only_what_is_looked_up_reaches_the_server(host: NetHost, python_box: Box) -> None:
    """It would see all else come from the host's address, from which it may take more."""
    name = "026f6b076578616d706c6500"  # ok.example
    update = f"1234 2800 0001 0000 0001 0000 {name} 0006 0001 c00c 0001 0001 0000003c 0004 c0000202"
    notify = f"1234 2400 0001 0000 0000 0000 {name} 0006 0001"
    transfer = f"1234 0000 0001 0000 0000 0000 {name} 00fc 0001"
    trailing = f"1234 0100 0001 0000 0000 0000 {name} 0001 0001 {'ff' * 1000}"
    cookie = f"1234 0100 0001 0000 0000 0001 {name} 0001 0001 00 0029 1000 00008000 000c 000a 0008 0102030405060708"
    expected = f"0100 0001 0000 0000 0001 {name} 0001 0001 00 0029 04d0 00008000 0000".replace(" ", "")
    python_box.write(settings("ok.example:8000"))
    with host.lan.background("python3", "-c", SEES, LAN) as server:
        shown = python_box.run(PYTHON, "-I", "-c", ASKS, update, notify, transfer, trailing, cookie).stdout
        server.kill()
        assert server.stdout is not None
        seen = server.stdout.read()
    assert shown.splitlines() == ["5 4", "4 4", "0 5", "0 1", "0 0"]
    assert seen.split() == [expected]
    assert denied(host, python_box) == []


def test_a_host_that_resolves_on_its_loopback(host: NetHost, dns: None, make_box: MakeBox, python_box: Box) -> None:
    """The container cannot reach that, so our own resolver asks for it."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root"]
    argv += ["--listen-address=127.0.0.1", "--bind-interfaces", f"--server={LAN}", "--pid-file"]
    etc = Path(python_box.folder / "etc")
    etc.mkdir()
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch example\n", encoding="ascii")
    more = f"config.mount_network_etc(host_root={str(etc)!r})"
    python_box.write(f'config.add_mount_point("/usr", to="/usr")\nconfig.network.mode = "bridge"\n{more}')
    with host.background("sh", "-c", 'echo ready; exec "$@"', "sh", *argv), host.lan.server("lan", LAN, 8000):
        wait_until(lambda: ":53 " in host("ss", "-lnu"), "dnsmasq does not listen")
        assert fetched(python_box, "http://ok.example:8000/", "http://ok:8000/") == [f"lan answers {HOST}"] * 2


def test_a_guard_that_dies_is_reported(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("alone", "config.network.allow_egress()")
    with box.background("echo ready; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        supervisor = box.state()["supervisor"]["pid"]
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii").split()
        guard = next(int(pid) for pid in children if int(pid) != box.state()["init"]["pid"])
        os.kill(guard, 9)
        assert process.stderr is not None
        assert any("the guard of its network has died" in line for line in process.stderr)
        assert "refused" in box.attach("wget", "-O-", f"http://{LAN}:80/", expect=1).stderr
