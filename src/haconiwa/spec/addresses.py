"""Internet addresses as numbers, without the import cost of ``ipaddress``.

A version is 4 or 6. Networks are written as ``10.0.0.0/24``.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

_FAMILIES = {4: (AF_INET, 4), 6: (AF_INET6, 16)}
BITS = {4: 32, 6: 128}
"""How long an address of each version is."""


def parse_address(text: str) -> tuple[int, int]:
    """An address as (version, number).

    Raises:
        ValueError: It is none.
    """
    version = 6 if ":" in text else 4
    try:
        return version, int.from_bytes(inet_pton(_FAMILIES[version][0], text), "big")
    except (OSError, UnicodeError, ValueError):
        raise ValueError(text) from None


def format_address(version: int, number: int) -> str:
    """The shortest text of an address."""
    family, size = _FAMILIES[version]
    return inet_ntop(family, number.to_bytes(size, "big"))


def parse_network(text: str) -> tuple[int, int, int]:
    """An address with the length of its network, as in ``10.0.0.1/24``: (version, number, length).

    Without a length it is that of a single address.

    Raises:
        ValueError: It is none.
    """
    address, slash, length = text.partition("/")
    version, number = parse_address(address)
    if not slash:
        return version, number, BITS[version]
    if not length.isascii() or not length.isdigit() or len(length) > 3 or int(length) > BITS[version]:
        raise ValueError(text)
    return version, number, int(length)


def network_of(version: int, number: int, length: int) -> int:
    """The first address of the network that an address is in."""
    shift = BITS[version] - length
    return number >> shift << shift


def format_network(version: int, number: int, length: int) -> str:
    """A network as nft and ip take it: ``10.0.0.0/24``."""
    return f"{format_address(version, network_of(version, number, length))}/{length}"


def holds(network: tuple[int, int, int], version: int, number: int) -> bool:
    """Whether an address is in a network."""
    return network[0] == version and network_of(version, number, network[2]) == network_of(*network)


def is_loopback(version: int, number: int) -> bool:
    """Whether an address never leaves the machine."""
    return number >> 24 == 127 if version == 4 else number == 1
