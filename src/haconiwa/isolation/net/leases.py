"""What a container takes for its network before anything of it exists, and how it is given back.

A lease is recorded before what it stands for is made. The supervisor holds it for life; one that nobody holds and whose
links are gone is a dead supervisor's, and whoever comes next clears it away.
"""

from __future__ import annotations

import errno
import os
from _socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

from haconiwa.errors import ContainerError, HostError
from haconiwa.isolation.net import bridges, etc, firewall, names, netns
from haconiwa.isolation.net.store import Bridge, Lease, Store
from haconiwa.kernel.network import interface_exists, interface_mtu
from haconiwa.spec.network import Interface

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import InterfaceSpec, NetworkSpec, PublishSpec


class Reservation:
    """A container's lease, held.

    Attributes:
        lease: What it has.
        fd: Holds it.
        connecting: The transaction of nftables, begun already, since the kernel takes its time for it; None where all
            is connected.
    """

    def __init__(self, lease: Lease, fd: int, connecting: firewall.Connecting | None = None) -> None:
        self.lease = lease
        self.fd = fd
        self.connecting = connecting


def reserve(spec: ContainerSpec, network: NetworkSpec, notice: Callable[[str], None]) -> Reservation:
    """Take addresses, names and ports for a container, and make the bridges that are missing.

    Raises:
        HostError: A bridge cannot be had, or an address, port or name is taken.
        ContainerError: A container of that name has one already.
    """
    with Store() as store:
        recover(store)
        fd = _take_over(store, spec.name)
        try:
            return _reserve(store, spec, network, fd, notice)
        except BaseException:
            os.close(fd)
            give_back(store, spec.name)
            raise


def take_up(name: str) -> Reservation | None:
    """Hold what a container has whose supervisor has died; None when nothing is recorded.

    Raises:
        ContainerError: Somebody holds it.
    """
    with Store() as store:
        lease = store.lease(name)
        if lease is None:
            return None
        try:
            return Reservation(lease, store.hold(name))
        except BlockingIOError:
            raise ContainerError("cannot take over its network", why="another process holds it", subject=name) from None


def _take_over(store: Store, name: str) -> int:
    """Hold the lease of a name, and clear away what an earlier container of that name left."""
    try:
        fd = store.hold(name)
    except BlockingIOError:
        raise ContainerError("cannot take an address", why="a container of that name has one", subject=name) from None
    if store.lease(name) is not None:
        os.close(fd)
        give_back(store, name)
        fd = store.hold(name)
    return fd


def _reserve(
    store: Store, spec: ContainerSpec, network: NetworkSpec, fd: int, notice: Callable[[str], None]
) -> Reservation:
    taken: list[Interface] = []
    used: list[Bridge] = []
    for wanted in network.interfaces:
        if wanted.kind == "macvlan":
            taken.append(_macvlan(wanted, network))
            continue
        bridge = bridges.ensure_bridge(
            store, wanted.bridge, wanted.bridge_ip, ipv6=network.ipv6, on_demand=network.cleanup, notice=notice
        )
        used.append(bridge)
        taken.append(_interface(store, spec.name, wanted, bridge, network, first=not taken))
    lease = Lease(
        name=spec.name,
        names=tuple(dict.fromkeys((spec.hostname or spec.name, spec.name))),
        interfaces=tuple(taken),
        published=tuple(_published(store, network.publish, taken)),
        namespace=network.namespace,
        cleanup=network.cleanup,
        hosts=tuple((address, name) for name, address in network.hosts.items()),
    )
    if network.namespace:
        netns.refuse_taken(network.namespace)
    store.record(lease)
    etc.write_resolv_conf(spec, network)
    etc.write_hosts(lease, store.leases())
    etc.update_hosts(store, {bridge.name for bridge in used})
    return Reservation(lease, fd, firewall.Connecting([bridge for bridge in used if bridge.ours], lease))


def _macvlan(wanted: InterfaceSpec, network: NetworkSpec) -> Interface:
    if not interface_exists(wanted.parent):
        raise HostError(f'cannot find the interface "{wanted.parent}"', hint="ip link lists those that exist")
    mtu = network.mtu or interface_mtu(wanted.parent)
    return Interface(
        name=wanted.name, host_name="", bridge="", address=wanted.address, address6="", gateway="", gateway6="",
        mac="", mtu=mtu,
    )  # fmt: skip


def _interface(
    store: Store, container: str, wanted: InterfaceSpec, bridge: Bridge, network: NetworkSpec, *, first: bool
) -> Interface:
    others = [i for lease in store.leases() for i in lease.interfaces if i.bridge == bridge.name]
    address = _address(wanted, container, bridge, others)
    ipv6 = bridge.address6 if network.ipv6 else ""
    if wanted.host_name:
        _refuse_taken_link(container, wanted.host_name)
    return Interface(
        name=wanted.name,
        host_name=wanted.host_name or names.link_name(container, wanted.name),
        bridge=bridge.name,
        address=address,
        address6=names.address6(ipv6, names.host_number(address)) if ipv6 else "",
        gateway=bridge.address.partition("/")[0] if first else "",
        gateway6=ipv6.partition("/")[0] if first else "",
        mac=names.mac_address(container, bridge.name, (other.mac for other in others)),
        mtu=network.mtu or bridge.mtu,
    )


def _refuse_taken_link(container: str, name: str) -> None:
    if interface_exists(name) and bridges.has_alias(name, f"{bridges.ALIAS}:{container}"):
        bridges.delete_link(name)  # the container's own of a moment ago, on its way out
    if interface_exists(name):
        raise HostError(f'cannot name an interface "{name}"', why="there is one", hint="choose another veth_host")


def _address(wanted: InterfaceSpec, container: str, bridge: Bridge, others: list[Interface]) -> str:
    leased = {other.address.partition("/")[0] for other in others}
    known = neighbours(bridge.name, {other.mac for other in others})
    if wanted.address == "auto":
        chosen = names.choose_address(
            bridge.address, container, lambda a: a not in leased and a not in known and not names.is_ours(a)
        )
        if chosen is None:
            raise HostError(
                f'cannot find a free address on the bridge "{bridge.name}"', why=f"{bridge.address} is full"
            )
        return chosen
    address = wanted.address
    what = f'cannot use the address {address} on the bridge "{bridge.name}"'
    if not bridges.contains(bridge, address):
        raise HostError(what, why=f"it is none of {bridge.address}", where=wanted.where)
    if address in leased:
        raise HostError(what, why="another container has it", hint="haconiwa network ls", where=wanted.where)
    if address in known or names.is_ours(address):
        raise HostError(what, why="another machine or interface has it", where=wanted.where)
    return f"{address}/{bridge.address.partition('/')[2]}"


def neighbours(bridge: str, ours: set[str]) -> set[str]:
    """Addresses that the host knows on a bridge and that are no container's: those of other machines.

    What a container leaves in the host's memory has a locally administered hardware address, as all ours have.
    """
    try:
        with open("/proc/net/arp", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
    except OSError:
        return set()
    known = [row for row in rows if len(row) == 6 and row[5] == bridge and int(row[2], 16) & 2]
    return {row[0] for row in known if row[3] not in ours and not row[3].startswith("02:")}


def _published(store: Store, published: tuple[PublishSpec, ...], interfaces: list[Interface]) -> list[tuple[str, str]]:
    """The elements for published ports, each of them free on this machine."""
    if not published:
        return []
    elements = firewall.published_elements(published, interfaces[0])
    taken: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for lease in store.leases():
        for map_, element in lease.published:
            ip, port = host_side(element)
            taken.setdefault((map_, port), []).append((ip, lease.name))
    for map_, element in elements:
        ip, port = host_side(element)
        for other_ip, owner in taken.get((map_, port), ()):
            if ip == other_ip or "/" in ip or "/" in other_ip:  # one of them means every address
                raise HostError(f"cannot publish the port {port}", why=f'"{owner}" has published it')
    for one in published:
        for number in range(one.first, one.last + 1):
            _refuse_used_port(one, number)
    return elements


def host_side(element: str) -> tuple[str, str]:
    """The host's address and port of a published element."""
    ip, _, port = element.partition(" : ")[0].partition(" . ")
    return ip, port


def _refuse_used_port(one: PublishSpec, port: int) -> None:
    """A program of the host's that listens there would not be reached any more."""
    family = AF_INET6 if ":" in one.ip else AF_INET
    probe = socket(family, SOCK_STREAM if one.proto == "tcp" else SOCK_DGRAM)
    try:
        if one.proto == "tcp":
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        probe.bind((one.ip or "0.0.0.0", port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise HostError(f"cannot publish on {one.ip}", why="this machine has no such address",
                            where=one.where) from None  # fmt: skip
        if error.errno == errno.EADDRINUSE:
            raise HostError(f"cannot publish the port {port}", why="a program of this machine listens there",
                            where=one.where) from None  # fmt: skip
        raise
    finally:
        probe.close()


def release(reservation: Reservation) -> None:
    """Give a lease back once its container has ended.

    What the kernel makes us wait for (20 ms and more for a rule, a link or a bridge) is done by a process that outlives
    the caller; should it die, the next start or `haconiwa network` does it.
    """
    try:
        if reservation.connecting is not None:
            reservation.connecting.abandon()
    finally:
        os.close(reservation.fd)
    lease = reservation.lease
    if lease.namespace and not lease.cleanup:
        return  # it keeps its links, and the lease with them
    with Store() as store:
        if _is_quick(store, lease):
            give_back(store, lease.name, links=False)
            return
    from haconiwa.isolation.net.background import in_background

    in_background(lambda: _give_back_later(lease.name))


def _is_quick(store: Store, lease: Lease) -> bool:
    others = [other for other in store.leases() if other.name != lease.name]
    last = any(b.on_demand and lease.uses(b.name) and not any(o.uses(b.name) for o in others) for b in store.bridges())
    return not (last or lease.published or lease.namespace)


def _give_back_later(name: str) -> None:
    with Store() as store:
        if not store.is_held(name):
            give_back(store, name)


def give_back(store: Store, name: str, *, links: bool = True) -> None:
    """Remove what a lease stands for, and the lease. Idempotent; nothing that is not ours is touched.

    Args:
        store: Locked.
        name: The container's.
        links: Wait for the links to go. They go by themselves with the last process of the network namespace.
    """
    lease = store.lease(name)
    if lease is not None:
        if lease.namespace:
            netns.remove_name(lease.namespace)
        for interface in lease.interfaces if links else ():
            if interface.host_name and bridges.has_alias(interface.host_name, f"{bridges.ALIAS}:{name}"):
                bridges.delete_link(interface.host_name)
        firewall.remove_elements(lease.published)
    store.forget(name)
    used = {interface.bridge for interface in lease.interfaces if interface.bridge} if lease else set()
    etc.update_hosts(store, used)
    remove_unused_bridges(store)


def remove_unused_bridges(store: Store) -> None:
    """Remove the bridges that were made on demand and that nobody uses any more."""
    leases = store.leases()
    for bridge in store.bridges():
        if bridge.on_demand and not any(lease.uses(bridge.name) for lease in leases):
            bridges.remove_bridge(store, bridge)


def recover(store: Store) -> list[str]:
    """Clear away what dead supervisors left. A container that outlived its supervisor keeps what it has.

    Returns:
        The names of the containers.
    """
    stale = stale_names(store)
    for name in stale:
        give_back(store, name)
    remove_unused_bridges(store)
    return stale


def stale_names(store: Store) -> list[str]:
    """The containers whose dead supervisors left a lease."""
    leases = {lease.name: lease for lease in store.leases()}
    return [name for name in store.names() if _is_stale(store, name, leases.get(name))]


def give_back_stale(name: str) -> None:
    """Clear away what one dead supervisor left, unless its name has come to life again."""
    with Store() as store:
        if name in stale_names(store):
            give_back(store, name)


def _is_stale(store: Store, name: str, lease: Lease | None) -> bool:
    if store.is_held(name):
        return False
    if lease is None:
        return True  # killed before it was recorded, or damaged
    if lease.namespace and netns.is_named(lease.namespace):
        return lease.cleanup and not netns.in_use(lease.namespace)
    links = [i.host_name for i in lease.interfaces if i.host_name and interface_exists(i.host_name)]
    return not any(bridges.has_alias(link, f"{bridges.ALIAS}:{lease.name}") for link in links)
