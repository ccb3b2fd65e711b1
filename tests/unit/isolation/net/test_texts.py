"""What ip and nft are told, as text."""

from __future__ import annotations

from haconiwa.isolation.net import egress, firewall, links
from haconiwa.isolation.net.store import Bridge, Lease
from haconiwa.spec.network import EgressSpec, Interface, InterfaceSpec, NetworkSpec, PublishSpec

ETH0 = Interface(
    name="eth0", host_name="hc1", bridge="haconiwa0", address="10.0.0.5/24", address6="fd00::5/64",
    gateway="10.0.0.1", gateway6="fd00::1", mac="02:00:00:00:00:05", mtu=1400,
)  # fmt: skip
WIRE = Interface(
    name="eth1", host_name="", bridge="", address="", address6="", gateway="", gateway6="", mac="", mtu=1500
)


def test_links() -> None:
    wanted = (InterfaceSpec(bridge="haconiwa0"), InterfaceSpec(kind="macvlan", name="eth1", parent="wan0"))
    lease = Lease(name="web", interfaces=(ETH0, WIRE))
    text = links.host_batch(lease, NetworkSpec(interfaces=wanted, hosts={}), "/proc/7/fd/9")
    assert text.splitlines() == [
        "link add name hc1 mtu 1400 type veth peer name eth0 mtu 1400 address 02:00:00:00:00:05 netns /proc/7/fd/9",
        "link set dev hc1 alias haconiwa:web addrgenmode none",
        "link set dev hc1 master haconiwa0 up",
        "link set dev hc1 type bridge_slave hairpin on",
        "link add link wan0 name eth1 mtu 1500 netns /proc/7/fd/9 type macvlan mode bridge",
    ]
    assert links.guest_batch(lease).splitlines() == [
        "addr add 10.0.0.5/24 brd + dev eth0",
        "addr add fd00::5/64 dev eth0 nodad",
        "link set dev eth0 up",
        "route add default via 10.0.0.1 dev eth0",
        "route add ::/0 via fd00::1 dev eth0",
        "link set dev eth1 up",
    ]


def published(**settings: object) -> list[tuple[str, str]]:
    values = {"proto": "tcp", "ip": "", "first": 80, "last": 80, "to": 80, **settings}
    return firewall.published_elements([PublishSpec(**values)], ETH0)  # type: ignore[arg-type]


def test_published_elements() -> None:
    assert published() == [
        ("tcp4", "0.0.0.0/0 . 80 : 10.0.0.5 . 80"),
        ("tcp6", "::/0 . 80 : fd00::5 . 80"),
    ]
    assert published(ip="127.0.0.1", first=8000, last=8001) == [
        ("tcp4", "127.0.0.1 . 8000 : 10.0.0.5 . 80"),
        ("tcp4", "127.0.0.1 . 8001 : 10.0.0.5 . 81"),
    ]
    assert published(ip="2001:db8::1", proto="udp") == [("udp6", "2001:db8::1 . 80 : fd00::5 . 80")]


def test_elements_as_commands() -> None:
    elements = [*firewall.bridge_elements(Bridge(name="b0", address="10.0.0.1/24", address6="fd00::1/64"))]
    assert firewall.add_text(elements).splitlines() == [
        'add element inet haconiwa bridges { "b0" }',
        "add element inet haconiwa inside4 { 10.0.0.0/24 }",
        "add element inet haconiwa inside6 { fd00::/64 }",
    ]
    assert firewall.delete_text(published(last=81)[:2]) == (
        "delete element inet haconiwa tcp4 { 0.0.0.0/0 . 80 , 0.0.0.0/0 . 81 }\n"
    )


def allowed(target: str, proto: str = "", first: int = 0, last: int = 65535, *, is_name: bool = False) -> EgressSpec:
    return EgressSpec(target=target, is_name=is_name, proto=proto, first=first, last=last)


def test_allowed_connections() -> None:
    text = egress.rules([
        allowed("10.1.0.0/16"),
        allowed("10.2.0.0/16", "udp"),
        allowed("fd00::/8", "tcp", 80, 90),
        allowed("10.3.0.1/32", "tcp", 443, 443),
        allowed("deb.example", "tcp", 443, 443, is_name=True),
    ])  # fmt: skip
    assert [line.strip() for line in text.splitlines() if "daddr" in line and "@" not in line] == [
        "ip daddr 10.1.0.0/16 accept",
        "ip daddr 10.2.0.0/16 meta l4proto udp accept",
        "ip6 daddr fd00::/8 tcp dport 80-90 accept",
        "ip daddr 10.3.0.1/32 tcp dport 443 accept",
    ]


def test_names_that_are_allowed() -> None:
    every = [allowed("*.a.example", is_name=True), allowed("b.example", "tcp", 443, 443, is_name=True), allowed("::/0")]
    assert [one.target for one in egress.matching(every, "x.a.example")] == ["*.a.example"]
    assert egress.matching(every, "a.example") == egress.matching(every, "ba.example") == []
    assert egress.matching(every, ".a.example") == []
    assert [one.target for one in egress.matching(every, "b.example")] == ["b.example"]


def test_answers_are_let_in_for_a_while() -> None:
    ports = [allowed("b.example", "tcp", 443, 443, is_name=True), allowed("b.example", is_name=True)]
    lines = egress.answered(ports, [(4, 0xC0000202, 5), (6, 1, 10**9)]).splitlines()
    assert lines[0] == lines[2] == "add element inet haconiwa answered4 { 192.0.2.2 . tcp . 443 timeout 90s }"
    assert lines[1] == "delete element inet haconiwa answered4 { 192.0.2.2 . tcp . 443 }"
    assert lines[3] == "add element inet haconiwa hosts4 { 192.0.2.2 timeout 90s }"
    assert lines[6] == "add element inet haconiwa answered6 { ::1 . tcp . 443 timeout 86430s }"


def test_packets_are_described() -> None:
    ipv4 = bytes([0x45, *bytes(8), 6, *bytes(6), 192, 0, 2, 9, 0, 1, 0x01, 0xBB])
    assert egress.describe_packet(ipv4) == "tcp 192.0.2.9:443"
    assert egress.describe_packet(ipv4[:9] + b"\x01" + ipv4[10:]) == "icmp 192.0.2.9"
    ipv6 = bytes([0x60, *bytes(5), 17, *bytes(17), *bytes(15), 1, 0, 1, 0, 53])
    assert egress.describe_packet(ipv6) == "udp [::1]:53"
    assert egress.describe_packet(b"") == egress.describe_packet(b"\x45\x00") == ""
