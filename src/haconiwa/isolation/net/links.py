"""The links of a container: made by one ``ip -batch`` on the host, and set up by one in the container's namespace.

The container's end is made in its namespace from the start, so that it is gone when the namespace is, whatever happens.
See: ip-link(8), veth(4), tc-tbf(8).
"""

from __future__ import annotations

import os

from haconiwa.host.tools import Tool, in_network_namespace, run_tool
from haconiwa.isolation.net.bridges import ALIAS, has_ipv6, write_sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.isolation.net.store import Lease
    from haconiwa.spec.network import Interface, NetworkSpec

_BATCH = ("-batch", "-")
_LATENCY_MS = 50
_SMALLEST_BURST = 16384


def host_batch(lease: Lease, network: NetworkSpec, namespace: str) -> str:
    """Commands for ``ip -batch`` on the host.

    Args:
        lease: What the container has.
        network: What was asked for.
        namespace: Path of the container's network namespace.
    """
    lines = []
    for interface, wanted in zip(lease.interfaces, network.interfaces, strict=True):
        if wanted.kind == "macvlan":
            lines.append(
                f"link add link {wanted.parent} name {interface.name} mtu {interface.mtu} netns {namespace} "
                "type macvlan mode bridge"
            )
            continue
        host = interface.host_name
        peer = f"name {interface.name} mtu {interface.mtu} address {interface.mac} netns {namespace}"
        lines += [
            f"link add name {host} mtu {interface.mtu} type veth peer {peer}",
            f"link set dev {host} alias {ALIAS}:{lease.name} addrgenmode none",
            f"link set dev {host} master {interface.bridge} up",
            f"link set dev {host} type bridge_slave hairpin on",
        ]
    return "".join(f"{line}\n" for line in lines)


def guest_batch(lease: Lease) -> str:
    """Commands for ``ip -batch`` in the container's network namespace."""
    lines = [line for interface in lease.interfaces for line in _guest_lines(interface)]
    return "".join(f"{line}\n" for line in lines)


def _guest_lines(interface: Interface) -> list[str]:
    name = interface.name
    lines = []
    if interface.address:
        lines.append(f"addr add {interface.address} brd + dev {name}")
    if interface.address6:
        lines.append(f"addr add {interface.address6} dev {name} nodad")
    lines.append(f"link set dev {name} up")
    if interface.gateway:
        lines.append(f"route add default via {interface.gateway} dev {name}")
    if interface.gateway6:
        lines.append(f"route add ::/0 via {interface.gateway6} dev {name}")
    return lines


def make_links(lease: Lease, network: NetworkSpec, namespace_fd: int) -> None:
    """Make the links and set them up.

    Raises:
        HostError: The kernel refused one; what was made goes with the container's namespace.
        OSError: The namespace cannot be entered, or a setting of the kernel's not be made.
    """
    namespace = f"/proc/{os.getpid()}/fd/{namespace_fd}"
    what = "set up the container's interfaces"
    guest = in_network_namespace(namespace_fd, lambda: Tool(what, "ip", _BATCH, None))  # loads while the links are made
    text = ""
    try:
        run_tool("make the network links", "ip", *_BATCH, text=host_batch(lease, network, namespace))
        in_network_namespace(namespace_fd, lambda: _prepare_inside(lease, network))
        text = guest_batch(lease)
    finally:
        guest.finish(text=text)
    if bits := network.upload_bits:
        in_network_namespace(namespace_fd, lambda: _limit(lease.interfaces[0].name, bits))
    if network.download_bits:
        _limit(lease.interfaces[0].host_name, network.download_bits)


def _prepare_inside(lease: Lease, network: NetworkSpec) -> None:
    if has_ipv6():
        for interface in lease.interfaces:
            # no neighbour may tell the container where its packets go
            write_sysctl(f"ipv6/conf/{interface.name}/accept_ra", "0")
    if network.egress is not None:
        write_sysctl("ipv4/ping_group_range", "0 2147483647")  # ping without the capability that was taken away


def _limit(interface: str, bits: int) -> None:
    """Let no more than that leave an interface."""
    burst = max(bits // 8 // 100, _SMALLEST_BURST)
    text = f"qdisc add dev {interface} root tbf rate {bits}bit burst {burst} latency {_LATENCY_MS}ms\n"
    run_tool(f'limit the bandwidth of "{interface}"', "tc", "-batch", "-", text=text)
