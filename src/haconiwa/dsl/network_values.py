"""Values of the section ``config.network``: addresses, ports, names of interfaces and hosts."""

from __future__ import annotations

from haconiwa.spec.addresses import BITS, format_address, is_loopback, parse_address, parse_network
from haconiwa.spec.network import PORT_MAX, EgressSpec
from haconiwa.spec.values import Refused, items, number, show, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where

_IFNAMSIZ = 16
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_NAME_SERVERS_MAX = 3  # MAXNS of resolv.conf(5)
_SEARCH_MAX = 32
_HOST_NAME_MAX = 253
_LABEL_MAX = 63
_UNITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_LONGEST_NETWORK = 30
_SHORTEST_NETWORK = 8


def interface_name(value: object) -> str:
    """The name of a network interface: 1-15 letters, digits and ``_ . -``."""
    plain = string(value, "the name of an interface")
    if not 1 <= len(plain) < _IFNAMSIZ or not _LETTERS.issuperset(plain) or plain[0] in ".-" or plain == "lo":
        raise Refused(f"{show(plain)} is not a name of an interface: 1-15 of A-Z a-z 0-9 _ . -")
    return plain


def _address(value: object) -> tuple[int, int]:
    plain = string(value, "an address")
    try:
        return parse_address(plain)
    except ValueError:
        raise Refused(f"{show(plain)} is not an address") from None


def host_address(value: object) -> str:
    """An IPv4 or IPv6 address, in its shortest form."""
    return format_address(*_address(value))


def address(value: object) -> str:
    """An IPv4 address of the container's, or ``auto``."""
    if string(value, 'an address or "auto"') == "auto":
        return "auto"
    version, parsed = _address(value)
    if version != 4:
        raise Refused(f"{show(value)} is not an IPv4 address", "an IPv6 address is given besides, see network.ipv6")
    return format_address(version, parsed)


def interface_address(value: object) -> str:
    """The address of a macvlan with its length, as in ``192.168.1.5/24``; empty or ``auto`` for none."""
    plain = string(value, "an address with its length")
    return "" if plain in ("", "auto") else prefixed(plain)


def prefixed(value: object) -> str:
    """An IPv4 address with the length of its network, as in ``10.0.0.1/24``."""
    plain = string(value, "an address with its length")
    try:
        version, parsed, length = parse_network(plain)
    except ValueError:
        raise Refused(f"{show(plain)} is not an address such as 10.0.0.1/24") from None
    if version != 4 or "/" not in plain or not _SHORTEST_NETWORK <= length <= _LONGEST_NETWORK:
        raise Refused(f"{show(plain)} is not an IPv4 address with a length from /8 to /30")
    last = (1 << BITS[4] - length) - 1
    if parsed & last in (0, last) or is_loopback(4, parsed) or parsed >> 28 == 14:
        raise Refused(f"{show(plain)} is not an address that a host can have")
    return f"{format_address(4, parsed)}/{length}"


def bridge_address(value: object) -> str:
    """The address of a bridge, with or without the length of its network."""
    plain = string(value, "an address")
    if "/" in plain:
        return prefixed(plain)
    return prefixed(f"{plain}/{_SHORTEST_NETWORK}").partition("/")[0]


def netmask(value: object) -> int:
    """The length of a network: a number, or as in ``255.255.255.0``."""
    if not issubclass(type(value), str):
        return number(value, _SHORTEST_NETWORK, _LONGEST_NETWORK, "the length of a network")
    plain = string(value)
    if plain.isascii() and plain.isdigit() and len(plain) < 3:
        return number(int(plain), _SHORTEST_NETWORK, _LONGEST_NETWORK)
    version, mask = _address(value)
    length = mask.bit_count()
    if version != 4 or mask != (1 << 32) - (1 << 32 - length):
        raise Refused(f"{show(plain)} is not a netmask such as 24 or 255.255.255.0")
    return number(length, _SHORTEST_NETWORK, _LONGEST_NETWORK)


def name_servers(value: object) -> tuple[str, ...]:
    """Addresses of name servers."""
    servers = tuple(items(value, host_address, "a list of addresses"))
    if len(servers) > _NAME_SERVERS_MAX:
        raise Refused(f"more than {_NAME_SERVERS_MAX} name servers, which is all that programs look at")
    return servers


def domain(value: object) -> str:
    """The name of a host or domain, in lower case without a final dot."""
    plain = string(value, "a name").lower().removesuffix(".")
    labels = plain.split(".")
    if len(plain) > _HOST_NAME_MAX or not all(_is_label(label) for label in labels):
        raise Refused(f"{show(plain)} is not the name of a host or domain")
    return plain


def _is_label(label: str) -> bool:
    return 0 < len(label) <= _LABEL_MAX and _LETTERS.issuperset(label) and label[0] != "-"


def search_domains(value: object) -> tuple[str, ...]:
    """Domains for short names."""
    domains = tuple(items(value, domain, "a list of domains"))
    if len(domains) > _SEARCH_MAX:
        raise Refused(f"more than {_SEARCH_MAX} domains")
    return domains


def bandwidth(value: object) -> int:
    """Bits per second: a number, or as in ``"10mbit"``."""
    expected = 'a number of bits per second, or text such as "10mbit"'
    if not issubclass(type(value), str):
        return number(value, 8000, 10**12, expected)
    plain = string(value).strip().lower()
    digits = plain.rstrip("bgikmt")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or plain[len(digits) :] not in _UNITS:
        raise Refused(f"{show(plain)} is not {expected}")
    return number(int(digits) * _UNITS[plain[len(digits) :]], 8000, 10**12)


def port_range(value: object, count: int = 1) -> tuple[int, int]:
    """A port, or several as in ``"8000-8010"``: the first and the last.

    Args:
        value: What was given.
        count: How many a single number stands for.
    """
    if not issubclass(type(value), str):
        first = number(value, 1, PORT_MAX, 'a port, or text such as "8000-8010"')
        return first, number(first + count - 1, 1, PORT_MAX)
    low, dash, high = string(value).partition("-")
    first = _port(low, value)
    last = _port(high, value) if dash else first + count - 1
    if not first <= last <= PORT_MAX:
        raise Refused(f"{show(value)} is not a range of ports")
    return first, last


def _port(text: str, value: object) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise Refused(f"{show(value)} is not a port or a range of ports")
    return number(int(text), 1, PORT_MAX)


def egress_target(value: object, proto: str | None, where: Where) -> EgressSpec:
    """An address, network or name with or without a port."""
    plain = string(value, "an address, a network or a name")
    host, port = _split_port(plain)
    first, last = port_range(port) if port else (0, PORT_MAX)
    try:
        version, parsed, length = parse_network(host)
    except ValueError:
        is_name = True
        target = _pattern(host, plain)
    else:
        is_name = False
        target = f"{format_address(version, parsed)}/{length}"
    if is_name and first != last and port:
        raise Refused(f"{show(plain)}: a name takes one port, or none for all")
    if is_name and proto and not port:
        raise Refused(f"{show(plain)}: proto= with a name needs a port")
    return EgressSpec(
        target=target,
        is_name=is_name,
        proto=proto or ("tcp" if port else ""),
        first=first,
        last=last,
        where=where,
    )


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest and (not rest.startswith(":") or not rest[1:]):
            raise Refused(f"{show(text)} is not an address with a port, such as [fd00::1]:443")
        return host, rest[1:]
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise Refused(f"{show(text)} has no port after the colon")
        return host, port
    return text, ""


def _pattern(host: str, plain: str) -> str:
    if not host or host.replace(".", "").replace("/", "").isdigit() or "/" in host:
        raise Refused(f"{show(plain)} is not an address, a network or a name")
    return f"*.{domain(host[2:])}" if host.startswith("*.") else domain(host)
