"""Names and numbers made from a container's name, so that they are the same at each start."""

from __future__ import annotations

import os
from _socket import AF_INET, SOCK_DGRAM, socket
from binascii import crc32

from haconiwa.errors import HostError
from haconiwa.kernel.network import interface_exists
from haconiwa.spec.addresses import BITS, format_address, network_of, parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TRIES = 64
_MOST_PROBED = 1 << 16


def link_name(container: str, interface: str) -> str:
    """A name for the host's end of a veth pair that no interface has yet.

    A link of an earlier container of that name may still be on its way out; its name is passed over.

    Raises:
        HostError: None was found.
    """
    for attempt in range(_TRIES):
        name = f"hc{_hash(container, interface, str(attempt)):08x}"
        if not interface_exists(name):
            return name
    raise HostError(f'cannot find a name for the interface "{interface}" of "{container}"')


def mac_address(container: str, bridge: str, taken: Iterable[str]) -> str:
    """A locally administered hardware address that no other container has: nobody's memory of it gets stale."""
    used = set(taken)
    attempt = 0
    while True:
        salt = str(attempt)
        number = _hash(container, bridge, salt) << 8 | _hash(salt, bridge, container) & 0xFF
        mac = "02:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(5, "big"))
        if mac not in used:
            return mac
        attempt += 1


def bridge_mac(bridge: str) -> str:
    """The hardware address of a bridge; without one of its own it would take that of a container, and change."""
    return mac_address("", bridge, ())


def unique_local_prefix(bridge: str) -> int:
    """First address of the bridge's own IPv6 network of length 64, from fd00::/8 (RFC 4193)."""
    seed = _machine_id()
    global_id = _hash(seed, bridge) << 8 | _hash(bridge, seed) & 0xFF
    return (0xFD << 40 | global_id) << 80


def address6(bridge6: str, host: int) -> str:
    """The IPv6 address of a host number in a bridge's network."""
    version, number, length = parse_network(bridge6)
    return f"{format_address(version, network_of(version, number, length) + host)}/{length}"


def host_number(address: str) -> int:
    """Which host of its network an address is."""
    version, number, length = parse_network(address)
    return number - network_of(version, number, length)


def choose_address(bridge: str, container: str, is_free: Callable[[str], bool]) -> str | None:
    """A free address of a bridge's network, beginning where the container's name says.

    Args:
        bridge: The bridge's own address with the length.
        container: The container's name.
        is_free: Whether an address (without length) can be had.

    Returns:
        The address with the length; None when all are taken.
    """
    version, own, length = parse_network(bridge)
    first = network_of(version, own, length)
    count = (1 << BITS[version] - length) - 2
    start = _hash(container, bridge) % count
    for offset in range(min(count, _MOST_PROBED)):
        number = first + 1 + (start + offset) % count
        address = format_address(version, number)
        if number != own and is_free(address):
            return f"{address}/{length}"
    return None


def is_ours(address: str) -> bool:
    """Whether an IPv4 address is one of this machine."""
    probe = socket(AF_INET, SOCK_DGRAM)
    try:
        probe.bind((address, 0))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _hash(*words: str) -> int:
    return crc32("\0".join(words).encode("utf-8", "surrogateescape"))


def _machine_id() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return os.uname().nodename
