"""What is asked about interfaces, and packets that are logged, in a network namespace of the test's own."""

from __future__ import annotations

import errno
import select
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.netfilter import has_element
from haconiwa.kernel.network import interface_address, interface_exists, interface_mtu, set_interface_up
from haconiwa.kernel.nflog import PacketLog, payloads
from tests.support.child import in_child

RULES = """\
table inet t {
    chain out {
        type filter hook output priority 0;
        udp dport 4242 log group 7
    }
}
"""


@pytest.mark.requires("root", "netns")
def test_interfaces() -> None:
    def check() -> None:
        set_interface_up("lo")
        assert interface_exists("lo")
        assert not interface_exists("no0")
        assert interface_mtu("lo") == 65536
        assert interface_address("lo") == (0x7F000001, 0xFF000000)
        with pytest.raises(SyscallError) as caught:
            interface_mtu("no0")
        assert caught.value.errno == errno.ENODEV

    in_child(check, unshared=CLONE.NEWNET)


@pytest.mark.requires("root", "netns", "nft")
def test_logged_packets_arrive() -> None:
    def check() -> None:
        set_interface_up("lo")
        subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
        log = PacketLog(7)
        with pytest.raises(SyscallError) as caught:
            PacketLog(7)
        assert caught.value.errno == errno.EPERM
        assert log.read() == []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sent:
            sent.sendto(b"hello", ("127.0.0.1", 4242))
        assert select.select([log.fd], [], [], 10)[0]
        (packet,) = log.read()
        assert packet[9] == socket.IPPROTO_UDP
        assert packet.endswith(b"hello")
        log.close()

    in_child(check, unshared=CLONE.NEWNET)


@given(st.binary(max_size=200))
def test_anything_is_taken_apart(data: bytes) -> None:
    assert all(isinstance(packet, bytes) for packet in payloads(data))


@pytest.mark.requires("root", "netns", "nft")
def test_an_element_of_a_set() -> None:
    def check() -> None:
        assert not has_element("t", "names", b"br0".ljust(16, b"\0"))
        rules = 'table inet t { set names { type ifname; }; }\nadd element inet t names { "br0" }\n'
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        assert has_element("t", "names", b"br0".ljust(16, b"\0"))
        assert not has_element("t", "names", b"br1".ljust(16, b"\0"))
        assert not has_element("t", "names", b"br0")
        assert not has_element("t", "others", b"br0".ljust(16, b"\0"))
        assert not has_element("other", "names", b"br0".ljust(16, b"\0"))

    in_child(check, unshared=CLONE.NEWNET)
