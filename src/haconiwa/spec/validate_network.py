"""Checks of a container's network that need several settings together."""

from __future__ import annotations

from haconiwa.errors import Problem
from haconiwa.spec.addresses import holds, parse_address, parse_network
from haconiwa.spec.values import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import InterfaceSpec, NetworkSpec


def check_network(container: ContainerSpec, network: NetworkSpec) -> Iterator[Problem]:
    """What is wrong with a container's network where each single value is right."""
    yield from _namespace(container, network)
    yield from _interfaces(network)
    yield from _published(network)
    yield from _egress(container, network)


def _namespace(container: ContainerSpec, network: NetworkSpec) -> Iterator[Problem]:
    """The network namespace is made, entered or shared: only one of them."""
    for joined in container.joined_namespaces:
        if joined.type == "net":
            yield Problem("network: the container enters a network namespace that exists", network.where,
                          f"see {joined.where}")  # fmt: skip
    if network.share and "net" in container.namespaces:
        where = container.sources.get("network.share")
        yield Problem('network.share: the container has a network of its own by namespace.unshare("net")', where)
    if network.share == container.name:
        yield Problem("network.share: names the container itself", container.sources.get("network.share"))


def _interfaces(network: NetworkSpec) -> Iterator[Problem]:
    seen: dict[str, InterfaceSpec] = {}
    for interface in network.interfaces:
        if interface.name in seen:
            yield Problem(f"network: two interfaces are called {show(interface.name)}", interface.where)
        if interface.host_name and interface.host_name in {other.host_name for other in seen.values()}:
            yield Problem(f"network: {show(interface.host_name)} is the name of two ends on the host", interface.where)
        seen[interface.name] = interface
        if interface.kind == "bridge" and interface.bridge_ip and interface.address != "auto":
            yield from _address(interface)


def _address(interface: InterfaceSpec) -> Iterator[Problem]:
    bridge = parse_network(interface.bridge_ip)
    address = parse_address(interface.address)
    last = (1 << 32 - bridge[2]) - 1
    if address[1] == bridge[1]:
        yield Problem(f"network.container_ip: {interface.address} is the bridge itself", interface.where)
    elif not holds(bridge, *address) or address[1] & last in (0, last):
        what = f"network.container_ip: {interface.address} is no address of the bridge's network {interface.bridge_ip}"
        yield Problem(what, interface.where)


def _published(network: NetworkSpec) -> Iterator[Problem]:
    """No port of the host leads to two places."""
    seen: dict[tuple[str, int], list[str]] = {}
    for one in network.publish:
        for port in range(one.first, one.last + 1):
            others = seen.setdefault((one.proto, port), [])
            if any(not one.ip or not other or one.ip == other for other in others):
                yield Problem(f"network.publish: the {one.proto} port {port} is published twice", one.where)
            others.append(one.ip)


def _egress(container: ContainerSpec, network: NetworkSpec) -> Iterator[Problem]:
    """Rules that the container could change are none."""
    if network.egress is None:
        return
    where = container.sources.get("network.allow_egress")
    allowed = container.capabilities.bounding
    if allowed is None or "net_admin" in allowed:
        what = "network.allow_egress: with the capability net_admin the container could undo it"
        yield Problem(what, where, 'add capabilities.drop("net_admin")')
