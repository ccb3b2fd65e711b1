"""The section ``config.network``: what is set, what it implies, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.dsl.load import load_file
from haconiwa.spec.model import BarnSpec, ContainerSpec
from haconiwa.spec.network import EgressSpec, InterfaceSpec, NetworkSpec, PublishSpec
from haconiwa.spec.record import replace

Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]


def network(container: ContainerSpec) -> NetworkSpec:
    assert container.network is not None
    return container.network


def first(container: ContainerSpec) -> InterfaceSpec:
    return network(container).interfaces[0]


def test_nothing_asked_is_the_hosts_network(settings: Settings) -> None:
    assert settings("").network is None
    assert settings("c.network.mode = 'host'").network is None
    assert settings("c.namespace.unshare('net')").network is None


@pytest.mark.parametrize(
    "line",
    [
        "c.network.mode = 'bridge'",
        "c.network.container_ip = 'auto'",
        "c.network.bridge_name = 'haconiwa0'",
        "c.network.publish(80)",
        "c.network.allow_egress()",
        "c.network.upload = '1mbit'",
        "c.network.namespace = 'blue'",
    ],
)
def test_what_needs_a_bridge_asks_for_one(settings: Settings, line: str) -> None:
    container = settings(line)
    assert container.namespaces == ("mount", "net")
    assert network(container).mode == "bridge"
    assert replace(first(container), where=None) == InterfaceSpec(bridge="haconiwa0", bridge_ip="10.0.0.1/24")


def test_none_has_no_interface(settings: Settings) -> None:
    container = settings("c.network.mode = 'none'")
    assert container.namespaces == ("net",)
    assert network(container).interfaces == ()


def test_share_makes_no_namespace(settings: Settings) -> None:
    container = settings("c.network.share('web')")
    assert container.namespaces == ("mount",)
    assert (network(container).mode, network(container).share) == ("share", "web")


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("c.network.bridge_ip = '10.9.0.1/16'", "bridge_ip", "10.9.0.1/16"),
        ("c.network.bridge_ip = '10.9.0.1'", "bridge_ip", "10.9.0.1/24"),
        ("c.network.bridge_ip = '10.9.0.1'; c.network.netmask = '255.255.0.0'", "bridge_ip", "10.9.0.1/16"),
        ("c.network.bridge_ip = '10.9.0.1'; c.network.netmask = 20", "bridge_ip", "10.9.0.1/20"),
        ("c.network.bridge_name = 'br7'", "bridge_ip", ""),
        ("c.network.container_ip = '10.0.0.7'", "address", "10.0.0.7"),
        ("c.network.veth_guest = 'lan'; c.network.veth_host = 'web-host'", "name", "lan"),
        ("c.network.veth_host = 'web-host'", "host_name", "web-host"),
    ],
)
def test_the_first_interface(settings: Settings, lines: str, field: str, value: str) -> None:
    assert getattr(first(settings(lines)), field) == value


def test_the_global_config_names_the_bridge(
    load: Callable[[str], BarnSpec], monkeypatch: pytest.MonkeyPatch, own_config: object
) -> None:
    with open(str(own_config), "w", encoding="ascii") as file:
        file.write("from haconiwa import configure\ng = configure()\n")
        file.write("g.bridge_name = 'garden0'\ng.bridge_ip = '10.7.0.1/24'\n")
    text = "from haconiwa import define\nc = define()\nc.network.container_ip = 'auto'\n"
    spec = load(text).containers[0]
    assert (first(spec).bridge, first(spec).bridge_ip) == ("garden0", "10.7.0.1/24")
    assert load_file("test.haco").containers[0].network == spec.network


def test_published_ports(settings: Settings) -> None:
    found = network(
        settings("c.network.publish(8080, to=80)\nc.network.publish('90-92', to=190, proto='udp', ip='127.0.0.1')")
    ).publish
    assert [replace(one, where=None) for one in found] == [
        PublishSpec(proto="tcp", ip="", first=8080, last=8080, to=80),
        PublishSpec(proto="udp", ip="127.0.0.1", first=90, last=92, to=190),
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("10.1.2.3", ("10.1.2.3/32", False, "", 0, 65535)),
        ("10.1.0.0/16:443", ("10.1.0.0/16", False, "tcp", 443, 443)),
        ("10.1.0.0/16:80-90", ("10.1.0.0/16", False, "tcp", 80, 90)),
        ("fd00::1", ("fd00::1/128", False, "", 0, 65535)),
        ("[fd00::/8]:53", ("fd00::/8", False, "tcp", 53, 53)),
        ("Deb.Example.org.:443", ("deb.example.org", True, "tcp", 443, 443)),
        ("*.example.org", ("*.example.org", True, "", 0, 65535)),
    ],
)
def test_allowed_targets(settings: Settings, target: str, expected: tuple[str, bool, str, int, int]) -> None:
    egress = network(settings(f"c.network.allow_egress({target!r})")).egress
    assert egress is not None
    name, is_name, proto, low, high = expected
    assert replace(egress[0], where=None) == EgressSpec(target=name, is_name=is_name, proto=proto, first=low, last=high)


def test_an_allow_list_takes_raw_packets_away(settings: Settings) -> None:
    bounding = settings("c.network.allow_egress()").capabilities.bounding
    assert bounding is not None
    assert "net_raw" not in bounding
    assert network(settings("c.network.allow_egress()")).egress == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("c.network.mode = 'nat'", 'network.mode: "nat" is not one of bridge none host'),
        ("c.network.bridge_name = 'a' * 16", "is not a name of an interface: 1-15 of A-Z a-z 0-9 _ . -"),
        ("c.network.veth_guest = 'lo'", "is not a name of an interface"),
        ("c.network.veth_host = 'a b'", "is not a name of an interface"),
        ("c.network.container_ip = '10.0.0.256'", 'network.container_ip: "10.0.0.256" is not an address'),
        ("c.network.container_ip = 'fd00::1'", "is not an IPv4 address"),
        ("c.network.container_ip = '10.0.0.1'", "network.container_ip: 10.0.0.1 is the bridge itself"),
        ("c.network.container_ip = '10.0.0.255'", "is no address of the bridge's network 10.0.0.1/24"),
        ("c.network.container_ip = '10.0.1.5'", "is no address of the bridge's network 10.0.0.1/24"),
        ("c.network.bridge_ip = '10.0.0.0/24'", "is not an address that a host can have"),
        ("c.network.bridge_ip = '10.0.0.1/31'", "with a length from /8 to /30"),
        ("c.network.bridge_ip = '127.0.0.1/8'", "is not an address that a host can have"),
        ("c.network.netmask = '255.0.255.0'", "is not a netmask"),
        ("c.network.netmask = 31", "31 is not between 8 and 30"),
        ("c.network.dns = ['a']", 'network.dns: "a" is not an address'),
        ("c.network.dns = ['10.0.0.1'] * 4", "more than 3 name servers"),
        ("c.network.search = ['a..b']", 'network.search: "a..b" is not the name of a host or domain'),
        ("c.network.hosts['a'] = 'b'", 'network.hosts: "b" is not an address'),
        ("c.network.hosts['a b'] = '10.0.0.1'", "is not a host name"),
        ("c.network.upload = '10 megabit'", "is not a number of bits per second"),
        ("c.network.download = 7", "7 is not between 8000 and"),
        ("c.network.mtu = 100", "100 is not between 576 and 65535"),
        ("c.network.publish(0)", "network.publish: 0 is not between 1 and 65535"),
        ("c.network.publish('90-80')", '"90-80" is not a range of ports'),
        ("c.network.publish('80-90', to='80-91')", "port= and to= are not as many"),
        ("c.network.publish('1-2000')", "more than 1024 ports"),
        ("c.network.publish(80, proto='sctp')", '"sctp" is not one of tcp udp'),
        ("c.network.publish(80, ip='::1')", "cannot lead anywhere else"),
        ("c.network.publish(80); c.network.publish(80, ip='10.0.0.9')", "the tcp port 80 is published twice"),
        ("c.network.allow_egress('a b')", "is not the name of a host or domain"),
        ("c.network.allow_egress('10.0.0.0/33')", "is not an address, a network or a name"),
        ("c.network.allow_egress('a:')", "has no port after the colon"),
        ("c.network.allow_egress('a:1-5')", "a name takes one port, or none for all"),
        ("c.network.allow_egress('a', proto='udp')", "proto= with a name needs a port"),
        ("c.network.allow_egress(); c.capabilities.allow('net_admin')", "the container could undo it"),
        ("c.network.allow_egress(); c.capabilities.allow('all')", "the container could undo it"),
        ("c.network.add_interface('eth1')", "takes bridge_name= or macvlan="),
        ("c.network.add_interface('eth0', bridge_name='b')", 'two interfaces are called "eth0"'),
        ("c.network.add_interface('eth1', macvlan='e', container_ip='10.0.0.1')", "with a length from /8 to /30"),
        ("c.network.mode = 'none'; c.network.publish(80)", 'network.publish: does nothing with mode = "none"'),
        ("c.network.mode = 'host'; c.network.dns = ['10.0.0.1']", 'network.dns: does nothing with mode = "host"'),
        ("c.network.share('a'); c.network.publish(80)", "does nothing with the network of another container"),
        ("c.name = 'a'; c.network.share('a')", "network.share: names the container itself"),
        ("c.network.share('a'); c.namespace.unshare('net')", "the container has a network of its own"),
        ("c.namespace.use_netns('blue'); c.network.container_ip = 'auto'", "enters a network namespace that exists"),
    ],
)
def test_refused(refused: Refused, line: str, problem: str) -> None:
    found = refused(line)
    assert any(problem in one for one in found), found
    assert all(one.startswith("test.haco:3: ") for one in found)
