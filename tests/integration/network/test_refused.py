"""What cannot be made stops the start, says why, and leaves nothing."""

from __future__ import annotations

import pytest

from tests.integration.network.conftest import MakeBox
from tests.support.net_host import NetHost

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("config.network.bridge_name = 'nowhere0'", 'cannot find the bridge "nowhere0": there is no such interface'),
        ("config.network.bridge_ip = '192.0.2.129/25'", '192.0.2.0/24 is reached through "wan0"'),
        ("config.network.publish(80, ip='10.1.2.3')", "cannot publish on 10.1.2.3: this machine has no such address"),
        ("config.network.veth_host = 'wan0'", 'cannot name an interface "wan0": there is one'),
        (
            "config.network.mode = 'bridge'\nconfig.network.add_interface('eth1', macvlan='no0')",
            'find the interface "no0"',
        ),
        ("config.network.mode = 'bridge'\nconfig.network.add_interface('eth1', macvlan='lo0')", "lo0"),
    ],
)
def test_before_anything_is_made(host: NetHost, make_box: MakeBox, settings: str, problem: str) -> None:
    box = make_box("bad", settings)
    shown = box.fails("true")
    assert problem in shown
    assert f"at: {box.file}" in shown


def test_addresses_that_are_taken(host: NetHost, make_box: MakeBox) -> None:
    first = make_box("first", "config.network.container_ip = '10.0.0.5'")
    first.daemon()
    second = make_box("second", "config.network.container_ip = '10.0.0.5'")
    assert 'cannot use the address 10.0.0.5 on the bridge "haconiwa0": another container has it' in second.fails("true")
    host.ip("addr add 10.0.0.6/32 dev wan0")
    second.write("config.network.container_ip = '10.0.0.6'")
    assert "another machine or interface has it" in second.fails("true")
    host.ip("neigh add 10.0.0.7 lladdr 00:11:22:33:44:55 dev haconiwa0")
    second.write("config.network.container_ip = '10.0.0.7'")
    assert "another machine or interface has it" in second.fails("true")


def test_a_thousand_ports(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("wide", "config.network.publish('20000-21023', to='79-1102')")
    box.daemon("httpd -p 80 -h /www && httpd -p 1102 -h /www && echo ready && exec sleep 1000")
    urls = [f"http://192.0.2.1:{port}/cgi-bin/who" for port in (20001, 21023, 21024)]
    assert [line.startswith(box.name) for line in host.lan.fetch(*urls)] == [True, True, False]


def test_a_full_bridge(make_box: MakeBox) -> None:
    one, other = (make_box("one", "config.network.bridge_ip = '10.0.0.1/30'") for _ in range(2))
    one.daemon()
    assert "10.0.0.1/30 is full" in other.fails("true")
    other.write("config.network.bridge_ip = '10.0.0.1/24'")
    assert "its address is 10.0.0.1/30" in other.fails("true")


def test_ports_that_are_taken(host: NetHost, make_box: MakeBox) -> None:
    first, second = (make_box("one", "config.network.publish('8080-8090')") for _ in range(2))
    first.daemon()
    assert f'cannot publish the port 8080: "{first.name}" has published it' in second.fails("true")
    second.write("config.network.publish(8085, ip='127.0.0.1')")
    assert "cannot publish the port 8085" in second.fails("true")
    second.write("config.network.publish(8085, proto='udp')\nconfig.network.publish(7000)")
    second.sh("true")
    with host.server("host", "0.0.0.0", 7000):
        assert "cannot publish the port 7000: a program of this machine listens there" in second.fails("true")


def test_links_that_cannot_be_made_are_undone(host: NetHost, make_box: MakeBox) -> None:
    """A macvlan cannot have larger packets than its wire: the kernel refuses it after the first link was made."""
    wide = "config.network.mtu = 9000\nconfig.network.add_interface('eth1', macvlan='wan0')"
    box = make_box("half", f"config.network.mode = 'bridge'\n{wide}")
    shown = box.fails("true")
    assert "cannot make the network links" in shown
    assert f"at: {box.file}" in shown


def test_rules_of_others_are_not_touched_and_ours_come_back(host: NetHost, make_box: MakeBox) -> None:
    host("nft", "-f", "-", stdin="table inet mine {\nchain in {\ntype filter hook input priority 0;\n}\n}\n")
    theirs = host.rules()
    first, second = make_box("first", "config.network.publish(8080, to=80)"), make_box("second")
    first.daemon("httpd -p 80 -h /www && echo ready && exec sleep 1000")
    assert "answers" in host.fetch("http://127.0.0.1:8080/cgi-bin/who")[0]
    host("nft", "flush", "ruleset")
    host("nft", "-f", "-", stdin=theirs)
    assert "failed" in host.fetch("http://127.0.0.1:8080/cgi-bin/who")[0]
    second.sh("true")
    assert "answers" in host.fetch("http://127.0.0.1:8080/cgi-bin/who")[0]
    assert theirs in host.rules()
    first.stop()


UFW = """\
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work none /etc
mkdir -p /etc/ufw
touch /etc/ufw/ufw.conf"""
"""In the mount namespace of the test's own machine."""

DROPS = "type filter hook forward priority 0; policy drop;"
LETS_BY_RULE = "type filter hook forward priority 10; policy accept; reject"


@pytest.mark.parametrize(
    ("table", "chain", "looks", "advice"),
    [
        (
            "ip filter",
            DROPS,
            ":",
            'the table "ip filter" drops what is forwarded; let "haconiwa0" pass: iptables -I FORWARD',
        ),
        ("ip filter", DROPS, "touch /run/docker.sock", "iptables -I DOCKER-USER -i haconiwa0 -j ACCEPT"),
        (
            "ip filter",
            DROPS,
            UFW,
            'the table "ip filter" (ufw) drops what is forwarded: ufw route allow in on haconiwa0',
        ),
        ("inet firewalld", LETS_BY_RULE, ":", "firewall-cmd --permanent --zone=trusted --add-interface=haconiwa0"),
    ],
    ids=["iptables", "docker", "ufw", "firewalld"],
)
def test_a_firewall_that_drops_is_explained(
    host: NetHost, make_box: MakeBox, table: str, chain: str, looks: str, advice: str
) -> None:
    host("nft", "-f", "-", stdin=f"table {table} {{\nchain FORWARD {{\n{chain}\n}}\n}}\n")
    host("sh", "-ec", looks)
    assert advice in make_box("one").run("true").stderr


def test_a_child_that_fails_meanwhile_is_the_reason(make_box: MakeBox) -> None:
    box = make_box("both")
    shown = box.fails("/no/such/program", expect=127)
    assert "/no/such/program" in shown
    box.write(
        "config.network.mode = 'bridge'\nconfig.hostname = 'x'\nconfig.add_mount_point('nofs', to='/x', fs='nofs')"
    )
    assert 'cannot mount nofs on "/x"' in box.fails("true")
