"""What goes through the interfaces of a container, as `haconiwa stats` shows it."""

from __future__ import annotations

import json

import pytest

from tests.integration.box import Box
from tests.integration.network.conftest import MakeBox
from tests.support.net_host import NetHost

pytestmark = pytest.mark.requires("root", "busybox", "ip", "nft", "bridge")


def traffic(host: NetHost, box: Box) -> tuple[int, int]:
    (row,) = json.loads(host.haconiwa("stats", "--no-stream", "--json", box.name).stdout)
    assert [interface["name"] for interface in row["interfaces"]] == ["lo", "eth0"]
    return row["received_bytes"], row["sent_bytes"]


def test_what_is_sent_over_the_veth_is_counted(host: NetHost, make_box: MakeBox) -> None:
    box = make_box("web")
    box.daemon()
    received, sent = traffic(host, box)
    host.haconiwa("attach", box.name, "--", "ping", "-c", "1", "-s", "1200", "10.0.0.1")
    after = traffic(host, box)
    assert after[0] >= received + 1200
    assert after[1] >= sent + 1200
