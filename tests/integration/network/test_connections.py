"""Who reaches whom: containers, the host, and another machine."""

from __future__ import annotations

import json
import sys

import pytest

from tests.integration.box import Box, wait_until
from tests.integration.network.conftest import MakeBox
from tests.support.net_host import ASK_UDP, HOST, HOST6, LAN, LAN6, NetHost

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge")

SERVE = "httpd -p 80 -h /www && echo ready && exec sleep 1000"
WHO = "cgi-bin/who"


def address(host: NetHost, box: Box, version: int = 4) -> str:
    """The address that a container has."""
    shown = json.loads(host.haconiwa("network", "inspect", "haconiwa0").stdout)
    lease = next(lease for lease in shown["containers"] if lease["name"] == box.name)
    text: str = lease["interfaces"][0]["address" if version == 4 else "address6"]
    return text.partition("/")[0]


def serve(host: NetHost, box: Box) -> str:
    """Start the web server of a container; its address."""
    box.daemon(SERVE)
    found = address(host, box)
    wait_until(lambda: "answers" in "".join(host.fetch(f"http://{found}/{WHO}")), "the server does not answer")
    return found


def test_containers_reach_each_other_the_host_and_the_world(host: NetHost, make_box: MakeBox) -> None:
    web, client = make_box("web"), make_box("client")
    inside = serve(host, web)
    inside6 = address(host, web, 6)
    with host.server("host", "0.0.0.0", 8000), host.lan.server("lan", LAN, 8000), host.lan.server("lan6", LAN6, 8000):
        lines = client.sh(f"""
            wget -q -O- http://{inside}/{WHO}
            wget -q -O- http://[{inside6}]/{WHO}
            wget -q -O- http://10.0.0.1:8000/
            wget -q -O- http://{LAN}:8000/
            wget -q -O- http://[{LAN6}]:8000/
            grep {web.name} /etc/hosts
            ip -6 addr show eth0 | grep -c tentative
        """, expect=None).splitlines()  # fmt: skip
    mine = lines[0].split()[-1].removeprefix("[::ffff:").rstrip("]")
    assert mine.startswith("10.0.0.")
    assert lines[0].startswith(f"{web.name} answers ")
    assert lines[1].startswith(f"{web.name} answers ")
    assert lines[2] == f"host answers {mine}"
    assert lines[3] == f"lan answers {HOST}"
    assert lines[4] == f"lan6 answers {HOST6}"
    assert [line.split() for line in lines[5:7]] == [[inside, web.name], [inside6, web.name]]


PUBLISH = """
config.network.publish(8080, to=80)
config.network.publish(8081, to=80, ip="127.0.0.1")
config.network.publish("5350-5355", to="6350-6355", proto="udp")
"""


@pytest.mark.setting("network.publish", not_on=["v2"])
def test_published_ports(host: NetHost, make_box: MakeBox) -> None:
    web, neighbour = make_box("web", PUBLISH), make_box("near")
    serve(host, web)
    from_lan, from_lan6, refused = host.lan.fetch(
        f"http://{HOST}:8080/{WHO}", f"http://[{HOST6}]:8080/{WHO}", f"http://{HOST}:8081/{WHO}"
    )
    assert LAN in from_lan  # its own address, not the bridge's
    assert LAN6 in from_lan6
    assert refused.startswith("failed:")
    here = host.fetch(f"http://127.0.0.1:8080/{WHO}", f"http://127.0.0.1:8081/{WHO}", f"http://{HOST}:8080/{WHO}")
    assert [line.startswith(f"{web.name} answers ") for line in here] == [True, True, True]
    # nobody listens on the other loopback address, and who tries that first learns so at once
    assert "refused" in host.fetch(f"http://[::1]:8080/{WHO}")[0]
    with host.udp_server(web.state()["init"]["pid"], 6353):
        assert host.lan(sys.executable, "-c", ASK_UDP, HOST, "5353").strip() == f"udp {LAN} hello"
        assert host(sys.executable, "-c", ASK_UDP, "127.0.0.1", "5353").strip() == "udp 10.0.0.1 hello"
    assert web.name in neighbour.sh(f"wget -q -O- http://{HOST}:8080/{WHO}")
    assert web.name in web.attach("wget", "-q", "-O-", f"http://{HOST}:8080/{WHO}").stdout  # and back to itself
    web.stop()
    assert host.lan.fetch(f"http://{HOST}:8080/{WHO}")[0].startswith("failed:")


def test_the_loopback_of_the_host_is_not_for_containers(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("thief", "config.network.container_ip = 'auto'\nconfig.capabilities.allow('net_admin')")
    with host.server("secret", "127.0.0.1", 8000):
        assert host.fetch("http://127.0.0.1:8000/")[0].startswith("secret")
        script = "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.0.0.1; wget -T 2 -q -O- http://127.0.0.1:8000/"
        assert "secret" not in box.sh(script, expect=None)


def test_no_container_advertises_a_route(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("one")
    box.daemon()
    conf = "/proc/sys/net/ipv6/conf"
    assert host("cat", f"{conf}/haconiwa0/accept_ra").strip() == "0"
    assert box.attach("cat", f"{conf}/eth0/accept_ra").stdout.strip() == "0"
    # the host itself goes on listening to its router though it forwards now
    assert host("cat", f"{conf}/all/forwarding", f"{conf}/wan0/accept_ra").split() == ["1", "2"]


@pytest.mark.setting("network.hosts", not_on=["v2"])
def test_names_come_and_go(host: NetHost, make_box: MakeBox) -> None:
    first, second = (
        make_box("first"),
        make_box("second", 'config.network.hosts["db"] = "10.9.9.9"\nconfig.network.mode = "bridge"'),
    )
    first.daemon()

    def names() -> list[str]:
        return [line.split()[1] for line in first.attach("cat", "/etc/hosts").stdout.splitlines()[2:]]

    assert names() == [first.name, first.name]
    second.daemon()
    assert names() == [first.name, first.name, second.name, second.name]
    assert second.attach("cat", "/etc/hosts").stdout.splitlines()[-1].split() == ["10.9.9.9", "db"]
    second.stop()
    wait_until(lambda: names() == [first.name, first.name], "the name has not gone")


RESOLV = """
config.network.mode = "bridge"
config.network.dns = ["192.0.2.53", "fd00::53"]
config.network.search = ["example.org"]
"""


@pytest.mark.setting("network.dns", "network.search", not_on=["v2"])
def test_resolv_conf(make_box: MakeBox) -> None:
    box = make_box("names", RESOLV)
    assert box.sh("cat /etc/resolv.conf; echo x > /etc/resolv.conf", expect=1).splitlines() == [
        "nameserver 192.0.2.53", "nameserver fd00::53", "search example.org",
    ]  # fmt: skip
