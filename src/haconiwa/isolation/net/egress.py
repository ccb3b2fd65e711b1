"""What a container may connect to, as rules in its own network namespace, where it has no right to change them.

There they see each packet it sends, also those to its neighbours on the bridge, and they are gone with it. Raw packets
would pass by them, so the container has no ``net_raw``. Names are let in by `resolver`, which fills the sets.
"""

from __future__ import annotations

from haconiwa.spec.addresses import format_address, parse_network
from haconiwa.spec.network import PORT_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from haconiwa.spec.network import EgressSpec

LOG_GROUP = 1
"""The group of nfnetlink_log that refused packets go to."""

_SHORTEST_S = 60
_LONGEST_S = 86400
_LONGER_S = 30  # than the answer says: a program connects a moment after it has asked

_RULES = """\
table inet haconiwa {{
    set answered4 {{ type ipv4_addr . inet_proto . inet_service; size 65536; flags timeout; }}
    set answered6 {{ type ipv6_addr . inet_proto . inet_service; size 65536; flags timeout; }}
    set hosts4 {{ type ipv4_addr; size 65536; flags timeout; }}
    set hosts6 {{ type ipv6_addr; size 65536; flags timeout; }}
    chain output {{
        type filter hook output priority filter; policy drop;
        oifname "lo" accept
        ct state established,related accept
        ip protocol igmp accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report }} accept
{allowed}
        ip daddr @hosts4 accept
        ip6 daddr @hosts6 accept
        ip daddr . meta l4proto . th dport @answered4 accept
        ip6 daddr . meta l4proto . th dport @answered6 accept
        limit rate 20/second burst 50 packets log group {group}
        meta l4proto tcp reject with tcp reset
        reject with icmpx type admin-prohibited
    }}
}}
"""


def rules(allowed: Iterable[EgressSpec]) -> str:
    """The whole table for ``nft -f``."""
    lines = [f"        {_rule(one)}" for one in allowed if not one.is_name]
    return _RULES.format(allowed="\n".join(lines), group=LOG_GROUP)


def _rule(one: EgressSpec) -> str:
    version = parse_network(one.target)[0]
    words = [f"{'ip' if version == 4 else 'ip6'} daddr {one.target}"]
    if one.proto and (one.first, one.last) != (0, PORT_MAX):
        ports = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        words.append(f"{one.proto} dport {ports}")
    elif one.proto:
        words.append(f"meta l4proto {one.proto}")
    return " ".join([*words, "accept"])


def matching(allowed: Iterable[EgressSpec], name: str) -> list[EgressSpec]:
    """What a name may be asked for."""
    return [one for one in allowed if one.is_name and _matches(one.target, name)]


def _matches(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) and len(name) >= len(pattern) if pattern.startswith("*.") else name == pattern


def answered(matches: Iterable[EgressSpec], found: Iterable[tuple[int, int, int]]) -> str:
    """Commands that let packets to the addresses of a name pass for as long as they may be kept."""
    lines = []
    wanted = list(matches)
    for version, number, ttl_s in found:
        timeout_s = min(max(ttl_s, _SHORTEST_S), _LONGEST_S) + _LONGER_S
        address = format_address(version, number)
        for one in wanted:
            set_, key = f"hosts{version}", address
            if one.proto:
                set_, key = f"answered{version}", f"{address} . {one.proto} . {one.first}"
            # an element that exists keeps its old time unless it is made anew
            lines += [
                f"add element inet haconiwa {set_} {{ {key} timeout {timeout_s}s }}",
                f"delete element inet haconiwa {set_} {{ {key} }}",
                f"add element inet haconiwa {set_} {{ {key} timeout {timeout_s}s }}",
            ]
    return "".join(f"{line}\n" for line in lines)


def describe_packet(packet: bytes) -> str:
    """Where a packet was to go, as in ``tcp 192.0.2.1:443``; empty for what cannot be understood."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        protocol, address, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
    elif version == 6 and len(packet) >= 40:
        protocol, address, rest = packet[6], packet[24:40], packet[40:]
    else:
        return ""
    text = format_address(version, int.from_bytes(address, "big"))
    word = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(protocol, f"protocol {protocol}")
    if protocol not in (6, 17) or len(rest) < 4:
        return f"{word} {text}"
    port = int.from_bytes(rest[2:4], "big")
    return f"{word} [{text}]:{port}" if version == 6 else f"{word} {text}:{port}"
