"""What is left when a supervisor is killed, and that the next one clears it away."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import Box, Watched, finish, wait_until
from tests.integration.network.conftest import MakeBox
from tests.support.net_host import NetHost

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge")

SETTINGS = "config.network.publish(8080, to=80)\nconfig.network.namespace = 'named'"


def killed(box: Box, *options: str) -> None:
    """Kill the supervisor of a running container."""
    with box.background("echo ready; exec sleep 1000", *options) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        supervisor, init = Watched(box.state()["supervisor"]["pid"]), Watched(box.state()["init"]["pid"])
        supervisor.kill()
        assert init.ended()
        supervisor.close()
        init.close()
        finish(process, expect=None)


def test_the_next_start_clears_up(host: NetHost, make_box: MakeBox) -> None:
    box, other = make_box("one", SETTINGS), make_box("other", SETTINGS)
    killed(box)
    assert "8080" in host.rules()
    assert other.sh("ip addr show eth0 | grep -c 'inet '") == "1\n"  # the same port and the same name


def test_a_look_clears_up(host: NetHost, make_box: MakeBox) -> None:
    killed(make_box("one", SETTINGS))
    wait_until(lambda: len(host.haconiwa("network", "ls").stdout.splitlines()) == 1, "it is still listed")
    assert host.links() == {"wan0"}
    assert "haconiwa" not in host.rules()


def test_gc_clears_up(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("one", SETTINGS)
    killed(box)
    wait_until(lambda: f"Removed network {box.name}\n" in host.haconiwa("gc").stdout, "its links stay")
    assert host.links() == {"wan0"}
    assert "haconiwa" not in host.rules()


def test_the_same_name_starts_again_at_once(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("one", SETTINGS + "\nconfig.network.veth_host = 'fixed'")
    killed(box)
    box.sh("true")


def test_what_outlives_its_supervisor_keeps_its_network(host: NetHost, make_box: MakeBox) -> None:
    box, other = make_box("one", "config.network.container_ip = '10.0.0.5'"), make_box("other")
    box.daemon("httpd -p 80 -h /www && echo ready && exec sleep 1000")
    supervisor = Watched(box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    other.write("config.network.container_ip = '10.0.0.5'")
    assert "another container has it" in other.fails("true")
    assert "answers" in host.fetch("http://10.0.0.5/cgi-bin/who")[0]
    box.stop()
    wait_until(lambda: len(host.haconiwa("network", "ls").stdout.splitlines()) == 1, "it is still listed")


def test_what_is_adopted_keeps_its_network_and_gives_it_back(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("one", SETTINGS, "config.add_async_hook(lambda base: print(base.network.address), msec=1)")
    box.daemon("httpd -p 80 -h /www && echo ready && exec sleep 1000")
    address = json.loads(host.haconiwa("network", "inspect", "haconiwa0").stdout)["containers"][0]["interfaces"][0]
    supervisor = Watched(box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    before = host.rules()
    host.haconiwa("start", "--adopt", box.file)
    assert host.rules() == before
    wait_until(lambda: address["address"].partition("/")[0] in logged(box), "the hook knows the address")
    assert "answers" in host.fetch(f"http://{address['address'].partition('/')[0]}/cgi-bin/who")[0]
    box.stop()
    wait_until(lambda: len(host.haconiwa("network", "ls").stdout.splitlines()) == 1, "it is still listed")
    assert "8080" not in host.rules()
    assert not os.path.exists("/run/netns/named")


def logged(box: Box) -> str:
    """What the hooks have printed since the container was adopted."""
    path = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}.supervisor.log"
    return path.read_text().partition("Container adopted")[2]


def test_a_bridge_that_was_left_half_made_is_completed(host: NetHost, make_box: MakeBox) -> None:
    first, second = make_box("first"), make_box("second", "config.network.publish(8080, to=80)")
    first.daemon()
    switch = "/proc/sys/net/ipv4/conf/haconiwa0/route_localnet"
    host("sh", "-c", f"echo 0 > {switch}")
    second.sh("true")
    assert host("cat", switch).strip() == "1"


def test_a_link_of_somebody_elses_is_left_alone(host: NetHost, make_box: MakeBox) -> None:
    """The record says the name, but the alias is not ours."""
    box = make_box("one", "config.network.veth_host = 'theirs'\nconfig.network.container_ip = 'auto'")
    killed(box)
    wait_until(lambda: "theirs" not in host.links(), "the link stays")
    host.ip("link add name theirs type bridge")
    make_box("other").sh("true")
    assert "theirs" in host.links()
    host.ip("link delete theirs")


@pytest.mark.slow
@pytest.mark.requires("strace")
def test_killed_at_every_program_and_file(host: NetHost, make_box: MakeBox) -> None:
    """SIGKILL between any two steps of ours: at each program started, file renamed, process made."""
    box, other = make_box("one", SETTINGS), make_box("other", SETTINGS)
    for call in ("rename", "vfork", "clone3", "setns", "mount", "ftruncate"):
        for number in range(1, 9):
            argv = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}",
                    "-e", f"inject={call}:signal=KILL:when={number}"]  # fmt: skip
            ran = subprocess.run(
                [*host.argv(*argv), box.haconiwa.path, "start", str(box.file), "--", "/bin/true"],
                capture_output=True, text=True, timeout=60, env=host.haconiwa.environ(),
            )  # fmt: skip
            other.sh("true")
            wait_until(lambda: host.haconiwa("network", "ls").stdout.count("\n") == 1, f"{call} {number}: still listed")
            assert host.links() == {"wan0"}, (call, number)
            assert "haconiwa" not in host.rules(), (call, number)
            if ran.returncode == 0:
                break


@pytest.mark.slow
def test_fifty_at_once(host: NetHost, make_box: MakeBox) -> None:
    boxes = [make_box(f"many{n}") for n in range(50)]
    running = [box.haconiwa.start("start", box.file, "--", "/bin/sh", "-c", "echo ready; read word") for box in boxes]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        held = json.loads(host.haconiwa("network", "inspect", "haconiwa0", timeout_s=60).stdout)["containers"]
        interfaces = [lease["interfaces"][0] for lease in held]
        for field in ("address", "address6", "mac", "host_name"):
            assert len({interface[field] for interface in interfaces}) == 50
        assert len(host.links()) == 52
        assert boxes[0].attach("wc", "-l", "/etc/hosts").stdout.split()[0] == "102"
    finally:
        for process in running:
            process.communicate("end\n", timeout=60)
    assert [process.returncode for process in running] == [0] * 50
