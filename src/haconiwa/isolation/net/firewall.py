"""Our one table of nftables: translation of addresses, and published ports. No rule of anybody else's is touched.

The rules are always the same and look things up in sets and maps; bridges and containers only add and remove elements.
A port that somebody has already cannot be added, so two containers never get the same one.
See: nft(8).
"""

from __future__ import annotations

from haconiwa.errors import HostError
from haconiwa.host.tools import Tool, ToolFailed, ToolHung, run_tool
from haconiwa.isolation.net.store import Store
from haconiwa.kernel.netfilter import has_element
from haconiwa.spec.addresses import format_network, parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from haconiwa.isolation.net.store import Bridge, Lease
    from haconiwa.spec.network import Interface, PublishSpec

_NAME = "haconiwa"
TABLE = f"inet {_NAME}"

RULES = """\
table inet haconiwa {
    set bridges { type ifname; }
    set inside4 { type ipv4_addr; flags interval; }
    set inside6 { type ipv6_addr; flags interval; }
    map tcp4 { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags interval; }
    map udp4 { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags interval; }
    map tcp6 { type ipv6_addr . inet_service : ipv6_addr . inet_service; flags interval; }
    map udp6 { type ipv6_addr . inet_service : ipv6_addr . inet_service; flags interval; }

    # loopback addresses are routed to the bridges for published ports: nobody there may use that to reach the host's
    chain guard {
        type filter hook prerouting priority raw; policy accept;
        iifname @bridges ip daddr 127.0.0.0/8 drop
    }
    chain published {
        ip6 daddr ::1 return
        dnat ip to ip daddr . tcp dport map @tcp4
        dnat ip to ip daddr . udp dport map @udp4
        dnat ip6 to ip6 daddr . tcp dport map @tcp6
        dnat ip6 to ip6 daddr . udp dport map @udp6
    }
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local jump published
    }
    chain output {
        type nat hook output priority -100; policy accept;
        fib daddr type local jump published
    }
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr @inside4 ip daddr != @inside4 masquerade
        ip6 saddr @inside6 ip6 daddr != @inside6 masquerade
        ip saddr @inside4 ip daddr @inside4 ct status dnat masquerade
        ip6 saddr @inside6 ip6 daddr @inside6 ct status dnat masquerade
        oifname @bridges ip saddr 127.0.0.0/8 masquerade
    }
}
"""

_IFNAMSIZ = 16
_ANY = {4: "0.0.0.0/0", 6: "::/0"}


def bridge_elements(bridge: Bridge) -> list[tuple[str, str]]:
    """What a bridge of ours has in the table, as (set, element)."""
    networks = [parse_network(address) for address in (bridge.address, bridge.address6) if address]
    return [
        ("bridges", f'"{bridge.name}"'),
        *((f"inside{network[0]}", format_network(*network)) for network in networks),
    ]


def published_elements(published: Iterable[PublishSpec], interface: Interface) -> list[tuple[str, str]]:
    """What the published ports of a container are in the table, as (map, element)."""
    return [element for one in published for element in _one_published(one, interface)]


def _one_published(one: PublishSpec, interface: Interface) -> list[tuple[str, str]]:
    found = []
    for version, inside in ((4, interface.address), (6, interface.address6)):
        if not inside or (one.ip and (6 if ":" in one.ip else 4) != version):
            continue
        target = inside.partition("/")[0]
        for number in range(one.last - one.first + 1):
            key = f"{one.ip or _ANY[version]} . {one.first + number}"
            found.append((f"{one.proto}{version}", f"{key} : {target} . {one.to + number}"))
    return found


def add_text(elements: Iterable[tuple[str, str]], verb: str = "add") -> str:
    """Commands that add elements; with ``create`` none of them may exist."""
    return "".join(f"{verb} element {TABLE} {name} {{ {' , '.join(group)} }}\n" for name, group in _grouped(elements))


def delete_text(elements: Iterable[tuple[str, str]]) -> str:
    """Commands that delete elements; without the data of a map, since the key is enough."""
    keys = [(name, element.partition(" : ")[0]) for name, element in elements]
    return add_text(keys, "delete")


def _grouped(elements: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for name, element in elements:
        groups.setdefault(name, []).append(element)
    return list(groups.items())


class Connecting:
    """The one transaction that lets a container's packets through, begun when this is made.

    Args:
        bridges: The container's bridges that are ours.
        lease: What the container has; recorded already.
    """

    def __init__(self, bridges: Iterable[Bridge], lease: Lease) -> None:
        missing = [bridge for bridge in bridges if not _is_known(bridge)]
        known = [element for bridge in missing for element in bridge_elements(bridge)]
        self._text = add_text(known) + add_text(lease.published, "create")
        self._tool = self._begin() if self._text else None

    def _begin(self) -> Tool:
        return Tool("set the rules of nftables", "nft", ("-f", "-"), self._text)

    def finish(self) -> None:
        """Wait for it; a table that is missing is made with all that is known.

        Raises:
            HostError: It was refused; nothing was changed.
        """
        tool, self._tool = self._tool, None
        if tool is None:
            return
        try:
            tool.finish()
        except ToolHung:
            raise  # whatever is asked of nft next would hang too
        except ToolFailed as error:
            if not _has_table():
                with Store() as store:
                    make_table(store)
                return
            if "File exists" in error.why or "overlap" in error.why:
                raise HostError("cannot publish the ports", why="one of them is published already",
                                hint="haconiwa network ls shows by whom") from None  # fmt: skip
            raise

    def abandon(self) -> None:
        """Wait for it if nobody has yet: what it has added is about to be removed."""
        tool, self._tool = self._tool, None
        if tool is not None:
            try:
                tool.finish()
            except ToolFailed:
                pass


def _is_known(bridge: Bridge) -> bool:
    """Whether the table has all of a bridge's elements: they come and go together."""
    return has_element(_NAME, "bridges", bridge.name.encode().ljust(_IFNAMSIZ, b"\0"))


def _has_table() -> bool:
    try:
        run_tool("look at the rules of nftables", "nft", "list", "chain", "inet", "haconiwa", "published")
    except ToolHung:
        raise
    except ToolFailed:
        return False
    return True


def make_table(store: Store) -> None:
    """Make the table anew with everything that is recorded, in one transaction. Does nothing when it is there.

    Raises:
        HostError: It was refused.
    """
    if _has_table():
        return
    elements = [element for bridge in store.bridges() for element in bridge_elements(bridge)]
    elements += [element for lease in store.leases() for element in lease.published]
    text = f"add table {TABLE}\ndelete table {TABLE}\n{RULES}{add_text(elements)}"
    run_tool("make the rules of nftables", "nft", "-f", "-", text=text)


def remove_elements(elements: Iterable[tuple[str, str]]) -> None:
    """Remove elements; one that is gone does not keep the others."""
    elements = tuple(elements)
    if not elements:
        return
    try:
        run_tool("remove rules of nftables", "nft", "-f", "-", text=delete_text(elements))
    except ToolHung:
        pass  # it would not do better with each of them
    except ToolFailed:
        for element in elements if len(elements) > 1 else ():
            remove_elements((element,))


def remove_table() -> None:
    """Remove the whole table, if it is there."""
    try:
        run_tool("remove the rules of nftables", "nft", "delete", "table", *TABLE.split())
    except ToolFailed:
        pass


def foreign_filters() -> list[str]:
    """Tables of others that drop what is forwarded, unless their own rules let it pass."""
    import json  # asked only when a bridge is made

    try:
        listed = json.loads(run_tool("list the chains of nftables", "nft", "-j", "list", "chains"))
    except (ToolFailed, ValueError):
        return []
    chains = [item["chain"] for item in listed.get("nftables", []) if "chain" in item]
    return sorted(
        {
            f"{chain['family']} {chain['table']}"
            for chain in chains
            if chain.get("hook") == "forward" and chain["table"] != "haconiwa" and
            (chain.get("policy") == "drop" or chain["table"] == "firewalld")
        }
    )  # fmt: skip
