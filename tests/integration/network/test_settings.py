"""What a container's network is made of, as seen from inside and from the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.integration.network.conftest import MakeBox
from tests.support.net_host import LAN, NetHost
from tests.support.program import TREE

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge")

EVERYTHING = """
config.network.bridge_name, config.network.bridge_ip, config.network.netmask = "garden0", "10.9.0.1", 16
config.network.container_ip = "10.9.7.5"
config.network.veth_host, config.network.veth_guest = "garden-web", "lan0"
config.network.ipv6 = False
config.network.mtu = 1400
config.network.namespace = "garden"
config.network.upload, config.network.download = "10mbit", 20_000_000
config.network.add_interface("eth1", bridge_name="garden1", bridge_ip="10.8.0.1/24")
config.network.add_interface("eth2", macvlan="wan0", container_ip="192.0.2.77/24")
"""


@pytest.mark.setting(
    "network.add_interface",
    "network.bridge_ip",
    "network.bridge_name",
    "network.container_ip",
    "network.download",
    "network.ipv6",
    "network.mtu",
    "network.namespace",
    "network.netmask",
    "network.upload",
    "network.veth_guest",
    "network.veth_host",
)
def test_everything_as_asked(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("all", EVERYTHING)
    box.daemon()
    inside = box.attach("sh", "-c", "ip addr; ip route; tc qdisc show dev lan0").stdout
    assert "inet 10.9.7.5/16" in inside
    assert "mtu 1400" in inside
    assert "default via 10.9.0.1 dev lan0" in inside
    assert "inet 10.8.0." in inside
    assert "inet 192.0.2.77/24" in inside
    assert "inet6 fd" not in inside
    assert {"garden-web", "garden0", "garden1"} <= host.links()
    shown = json.loads(host("ip", "-j", "-d", "link", "show", "dev", "garden-web"))[0]
    assert (shown["ifalias"], shown["master"], shown["mtu"]) == (f"haconiwa:{box.name}", "garden0", 1400)
    assert host("ip", "netns", "list").split()[0] == "garden"
    assert "rate 20Mbit" in host("tc", "qdisc", "show", "dev", "garden-web")
    assert "rate 10Mbit" in host("ip", "netns", "exec", "garden", "tc", "qdisc", "show", "dev", "lan0")
    known = json.loads(host.haconiwa("inspect", box.name).stdout)[0]
    assert [interface["name"] for interface in known["interfaces"]] == ["lan0", "eth1", "eth2"]
    assert known["config"]["network"]["upload_bits"] == 10_000_000
    # a macvlan is a machine of its own on the wire
    assert f"from {LAN}" in box.attach("ping", "-c", "1", "-W", "5", LAN).stdout
    box.stop()
    assert host("ip", "netns", "list", expect=None) == ""


def test_a_user_namespace_has_its_network_too(make_box: MakeBox) -> None:
    maps = [f"config.namespace.set_{kind}_mapping(min=0, max=65536, offset=100000)" for kind in ("uid", "gid")]
    box = make_box("mapped", "\n".join([*maps, "config.network.container_ip = '10.0.0.9'"]))
    os.chown(box.root, 100000, 100000)
    shown = box.sh("ip addr show eth0; ping -c 1 -W 5 10.0.0.1; cat /etc/hosts; ls /sys/class/net")
    assert "inet 10.0.0.9/24" in shown
    assert "1 packets received" in shown
    assert f"10.0.0.9\t{box.name}" in shown
    assert shown.splitlines()[-2:] == ["eth0", "lo"]


def test_the_hosts_root_gets_names_too(host: NetHost, make_box: MakeBox) -> None:
    before = host("cat", "/etc/hosts", "/etc/resolv.conf")
    box = make_box(
        "plain", 'config.network.dns = ["192.0.2.53"]\nconfig.network.mode = "bridge"', root=None, independent=(),
        namespaces=("uts",),
    )  # fmt: skip
    shown = box.sh("cat /etc/hosts /etc/resolv.conf")
    assert f"\t{box.name}\n" in shown
    assert shown.endswith("nameserver 192.0.2.53\n") or "search" in shown
    assert host("cat", "/etc/hosts", "/etc/resolv.conf") == before


@pytest.mark.setting("network.mode")
def test_none_is_loopback_only(make_box: MakeBox) -> None:
    box = make_box("none", "config.network.mode = 'none'")
    assert box.sh("ls /sys/class/net; ping -c 1 127.0.0.1 | grep -c received").split() == ["lo", "1"]


@pytest.mark.setting("network.share", not_on=["v2"])
def test_a_shared_network(host: NetHost, make_box: MakeBox) -> None:
    web = make_box("web")
    web.daemon("httpd -p 80 -h /www && echo ready && exec sleep 1000")
    beside = make_box("beside", f"config.network.share({web.name!r})")
    shown = beside.sh("wget -q -O- http://127.0.0.1:80/cgi-bin/who; cat /etc/hosts; readlink /proc/self/ns/net")
    assert shown.startswith(f"{web.name} answers ")
    assert f"\t{web.name}\n" in shown
    assert shown.splitlines()[-1] == os.readlink(f"/proc/{web.state()['init']['pid']}/ns/net")
    beside.daemon()
    assert beside.attach("wget", "-q", "-O-", "http://127.0.0.1:80/cgi-bin/who").stdout == shown.splitlines()[0] + "\n"
    beside.stop()
    web.stop()
    assert "it is not running" in beside.fails("true")


HOOKS = """
import json
def record(base):
    with open(os.path.join(os.path.dirname(__file__), "seen"), "a") as file:
        names = sorted(os.listdir("/proc/sys/net/ipv4/conf"))
        print(json.dumps([base.network.mode, base.network.address, base.network.interfaces[0].name, names]), file=file)
config.add_general_hook("after_network_created", record)
config.add_general_hook("after_network_initialized", record)
config.add_general_hook("teardown_container", record)
"""


def test_hooks_see_the_network(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("hooked", "config.network.container_ip = '10.0.0.5'", HOOKS)
    box.sh("true")
    created, initialized, ended = (json.loads(line) for line in (box.folder / "seen").read_text().splitlines())
    assert created[:3] == initialized[:3] == ended[:3] == ["bridge", "10.0.0.5", "eth0"]
    assert "haconiwa0" in created[3]  # on the host
    assert initialized[3] == ["all", "default", "eth0", "lo"]  # in the container's network


def test_the_address_stays_the_same(make_box: MakeBox) -> None:
    box = make_box("same")
    assert len({box.sh("ip addr show eth0 | grep -e inet -e ether | grep -v fe80") for _ in range(2)}) == 1


def test_new_makes_a_bridge_that_stays(host: NetHost, make_box: MakeBox) -> None:
    made = host.haconiwa("new", "-N", "-B", "stay0", "-I", "10.7.0.1/24").stderr
    assert made.startswith("bridge  stay0 10.7.0.1/24 fd")
    assert host.haconiwa("new", "-N", "-B", "stay0", "-I", "10.7.0.1/24").stderr == made
    box = make_box("guest", "config.network.bridge_name = 'stay0'")
    box.daemon()
    listed = host.haconiwa("network", "ls").stdout.splitlines()
    assert listed[1].split()[:2] == ["stay0", "10.7.0.1/24"]
    assert listed[1].split()[4] == box.name
    assert f"used by {box.name}" in host.haconiwa("network", "rm", "stay0", expect=125).stderr
    box.stop()
    assert "stay0" in host.links()
    assert json.loads(host.haconiwa("network", "ls", "--json").stdout)[0]["containers"] == []
    host.haconiwa("network", "rm", "stay0")
    assert "stay0" not in host.links()
    assert "cannot find a bridge" in host.haconiwa("network", "rm", "stay0", expect=125).stderr


def test_a_foreign_bridge_is_used_and_left_alone(host: NetHost, make_box: MakeBox) -> None:
    host.ip("link add name other0 type bridge", "addr add 10.6.0.1/24 dev other0", "link set other0 up")
    box = make_box("guest", "config.network.bridge_name = 'other0'")
    assert "1 packets received" in box.sh("ping -c 1 -W 5 10.6.0.1")
    assert "haconiwa" not in host.rules()
    assert "not ours" in host.haconiwa("new", "-N", "-B", "other0", "-I", "10.6.0.1/24", expect=125).stderr
    assert "other0" in host.links()
    host.ip("link delete other0")


@pytest.mark.setting("network.cleanup", not_on=["v2"])
def test_what_stays_on_request(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("kept", "config.network.cleanup = False\nconfig.network.namespace = 'kept'")
    first = box.sh("ip addr show eth0 | grep inet")
    assert host("ip", "netns", "list").split()[0] == "kept"
    assert "haconiwa0" in host.links()
    assert box.sh("ip addr show eth0 | grep inet") == first  # it begins anew
    box.write("config.network.container_ip = 'auto'")
    box.sh("true")
    assert host("ip", "netns", "list", expect=None) == ""
    host.haconiwa("network", "rm", "haconiwa0")


def test_the_example(host: NetHost, run_dirs: RunDirs) -> None:
    text = (Path(TREE) / "examples/network.haco").read_text(encoding="utf-8")
    file = run_dirs.base / "network.haco"
    file.write_text(text.replace("/var/lib/haconiwa", str(run_dirs.lib)), encoding="utf-8")
    host.haconiwa("create", file)
    with host.haconiwa.start("start", file) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        assert host.lan.fetch("http://192.0.2.1:8080/")[0].startswith("<!DOCTYPE")
        process.terminate()
        rest = process.communicate(timeout=20)
    assert said == ["cannot connect: [Errno 111] Connection refused\n", "serving\n"]
    assert "eth0 is 10.0.0." in rest[1]
    assert '"target": "tcp 192.0.2.1:80"' in host.haconiwa("events", "--json", "web").stdout
    host.haconiwa("rm", file)
