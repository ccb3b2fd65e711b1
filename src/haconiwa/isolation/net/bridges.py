"""Bridges: made when a container asks for one, gone with the last one if they were made so."""

from __future__ import annotations

import os

from haconiwa.errors import HostError, describe_errno
from haconiwa.host.tools import ToolFailed, run_tool
from haconiwa.isolation.net import firewall
from haconiwa.isolation.net.names import bridge_mac, unique_local_prefix
from haconiwa.isolation.net.store import Bridge, Store
from haconiwa.kernel.network import interface_address, interface_exists, interface_mtu
from haconiwa.spec.addresses import BITS, format_address, format_network, holds, network_of, parse_network
from haconiwa.spec.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALIAS = "haconiwa"
"""What our links carry as an alias, with the container's name behind a colon; bridges carry it alone."""

_SYSCTL = "/proc/sys/net"
_RTF_UP = 1


def ensure_bridge(
    store: Store, name: str, address: str, *, ipv6: bool, on_demand: bool, notice: Callable[[str], None]
) -> Bridge:
    """A bridge, made when it is missing.

    Args:
        store: Locked.
        name: Its name.
        address: Its address with the length; empty for a bridge that must exist.
        ipv6: Give it an IPv6 network too, where the host has IPv6.
        on_demand: It goes with its last container.
        notice: Told about other programs' rules that are in the way.

    Raises:
        HostError: It cannot be had as it was asked for.
    """
    known = store.bridge(name)
    if known is not None and interface_exists(name):
        if address and known.address != address:
            raise HostError(
                f'cannot use the bridge "{name}" as {address}',
                why=f"its address is {known.address}",
                hint=f"leave bridge_ip out, or remove it: haconiwa network rm {name}",
            )
        if read_sysctl(f"ipv4/conf/{name}/route_localnet") != "1":
            _set_kernel(known)  # whoever made it was killed before that
        if known.on_demand and not on_demand:
            known = replace(known, on_demand=False)
            store.record_bridge(known)
        return known
    if known is None and interface_exists(name):
        return _foreign(name, address)
    if not (address or known):
        raise HostError(
            f'cannot find the bridge "{name}"',
            why="there is no such interface",
            hint="give bridge_ip to have it made, or make it: haconiwa new -N -B NAME -I ADDRESS",
        )
    wanted = Bridge(
        name=name,
        address=address or (known.address if known else ""),
        address6=_address6(name) if ipv6 and has_ipv6() else "",
        mtu=uplink_mtu(),
        on_demand=on_demand,
    )
    make_bridge(store, wanted)
    for table in firewall.foreign_filters():
        notice(_advice(table, name))
    return wanted


def _foreign(name: str, address: str) -> Bridge:
    """A bridge that somebody else made: used as it is, and never removed."""
    try:
        number, mask = interface_address(name)
    except OSError:
        if not address:
            raise HostError(
                f'cannot find an address for the bridge "{name}"', hint="give it one, or set network.bridge_ip"
            ) from None
        return Bridge(name=name, address=address, mtu=interface_mtu(name), ours=False)
    own = f"{format_address(4, number)}/{mask.bit_count()}"
    return Bridge(name=name, address=address or own, mtu=interface_mtu(name), ours=False)


def make_bridge(store: Store, bridge: Bridge) -> None:
    """Make a bridge with its address, its rules and what the kernel must be told; all or nothing.

    Raises:
        HostError: It was refused, or its network is in use on this machine.
    """
    _refuse_used_network(bridge)
    store.record_bridge(bridge)
    try:
        run_tool(f'make the bridge "{bridge.name}"', "ip", "-batch", "-", text=_batch(bridge))
        _set_kernel(bridge)
        firewall.make_table(store)
        elements = firewall.add_text(firewall.bridge_elements(bridge))
        run_tool("set the rules of nftables", "nft", "-f", "-", text=elements)
    except (OSError, HostError) as error:
        remove_bridge(store, bridge)
        if isinstance(error, OSError):
            why = describe_errno(error.errno or 0)
            raise HostError(f'cannot make the bridge "{bridge.name}": {error.filename}', why=why) from None
        raise


def _batch(bridge: Bridge) -> str:
    name = bridge.name
    lines = [
        f"link add name {name} mtu {bridge.mtu} address {bridge_mac(name)} type bridge forward_delay 0 stp_state 0",
        f"link set dev {name} alias {ALIAS}",
        f"addr add {bridge.address} brd + dev {name}",
    ]
    if bridge.address6:
        lines.append(f"addr add {bridge.address6} dev {name} nodad")
    return "\n".join([*lines, f"link set dev {name} up", ""])


def remove_bridge(store: Store, bridge: Bridge) -> None:
    """Remove a bridge of ours and what belongs to it. An interface that does not carry our alias is left alone."""
    if has_alias(bridge.name, ALIAS):
        delete_link(bridge.name)
    store.forget_bridge(bridge.name)
    if store.bridges() or any(lease.published for lease in store.leases()):
        firewall.remove_elements(firewall.bridge_elements(bridge))
    else:
        firewall.remove_table()


def has_alias(link: str, alias: str) -> bool:
    """Whether an interface exists and carries this alias."""
    try:
        shown = run_tool(f'look at the interface "{link}"', "ip", "-o", "link", "show", "dev", link)
    except ToolFailed:
        return False
    return shown.strip().rpartition("alias ")[2] == alias and "alias " in shown


def delete_link(link: str) -> None:
    """Remove an interface; one that is gone is no failure."""
    try:
        run_tool(f'remove the interface "{link}"', "ip", "link", "delete", "dev", link)
    except ToolFailed:
        if interface_exists(link):
            raise


def has_ipv6() -> bool:
    """Whether this machine's kernel has IPv6, switched on."""
    return read_sysctl("ipv6/conf/default/disable_ipv6") == "0"


def _set_kernel(bridge: Bridge) -> None:
    """Let packets be forwarded, loopback addresses be routed to the bridge, and no container advertise a route."""
    _switch_on("ipv4/ip_forward")
    write_sysctl(f"ipv4/conf/{bridge.name}/route_localnet", "1")
    if not bridge.address6:
        return
    write_sysctl(f"ipv6/conf/{bridge.name}/accept_ra", "0")
    if read_sysctl("ipv6/conf/all/forwarding") == "0":
        # Who forwards listens to no router any more, unless told 2: the host would lose its own way out.
        for interface in os.listdir(f"{_SYSCTL}/ipv6/conf"):
            if read_sysctl(f"ipv6/conf/{interface}/accept_ra") == "1":
                write_sysctl(f"ipv6/conf/{interface}/accept_ra", "2")
        write_sysctl("ipv6/conf/all/forwarding", "1")


def _switch_on(name: str) -> None:
    if read_sysctl(name) != "1":
        write_sysctl(name, "1")


def read_sysctl(name: str) -> str:
    """A setting below /proc/sys/net of the caller's network namespace; empty when there is none."""
    try:
        with open(f"{_SYSCTL}/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def write_sysctl(name: str, value: str) -> None:
    """Change a setting below /proc/sys/net of the caller's network namespace.

    Raises:
        OSError: It does not exist, or cannot be written.
    """
    with open(f"{_SYSCTL}/{name}", "w", encoding="ascii") as file:
        file.write(value)


def uplink_mtu() -> int:
    """The MTU of the interface that the default route leads to; 1500 without one."""
    for name, destination, length, _gateway in _routes():
        if destination == 0 and length == 0:
            return interface_mtu(name)
    return 1500


def _routes() -> Iterator[tuple[str, int, int, int]]:
    """The IPv4 routes as (interface, first address, length, gateway), the best first where they are the same."""
    try:
        with open("/proc/net/route", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
    except OSError:
        return
    for row in sorted((row for row in rows if len(row) > 7), key=lambda row: int(row[6])):
        if int(row[3], 16) & _RTF_UP:
            destination, gateway, mask = (int.from_bytes(bytes.fromhex(row[n]), "little") for n in (1, 2, 7))
            yield row[0], destination, mask.bit_count(), gateway


def _refuse_used_network(bridge: Bridge) -> None:
    """A network that the host reaches elsewhere would become unreachable.

    Raises:
        HostError: It is in use.
    """
    own = parse_network(bridge.address)
    for name, destination, length, _gateway in _routes():
        other = (4, destination, length)
        if length and name != bridge.name and (holds(own, 4, destination) or holds(other, 4, own[1])):
            raise HostError(
                f'cannot make the bridge "{bridge.name}" as {bridge.address}',
                why=f'{format_network(*other)} is reached through "{name}"',
                hint="choose another network with bridge_ip",
            )


def _address6(name: str) -> str:
    return f"{format_address(6, unique_local_prefix(name) + 1)}/64"


def _advice(table: str, bridge: str) -> str:
    if "firewalld" in table:
        return (
            f'firewalld is at work and may drop what "{bridge}" forwards: '
            f"firewall-cmd --permanent --zone=trusted --add-interface={bridge} && firewall-cmd --reload"
        )
    if os.path.exists("/etc/ufw/ufw.conf"):
        return f'the table "{table}" (ufw) drops what is forwarded: ufw route allow in on {bridge}'
    chain = "DOCKER-USER" if os.path.exists("/run/docker.sock") else "FORWARD"
    return (
        f'the table "{table}" drops what is forwarded; let "{bridge}" pass: iptables -I {chain} -i {bridge} -j ACCEPT, '
        f"iptables -I {chain} -o {bridge} -j ACCEPT"
    )


def contains(bridge: Bridge, address: str) -> bool:
    """Whether an address (without length) is one that a container of a bridge can have."""
    network = parse_network(bridge.address)
    number = parse_network(address)[1]
    last = network_of(*network) + (1 << BITS[4] - network[2]) - 1
    return holds(network, 4, number) and number not in (network[1], network_of(*network), last)
