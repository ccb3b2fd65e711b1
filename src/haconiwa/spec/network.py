"""What a container's network is."""

from __future__ import annotations

from haconiwa.errors import Where
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    NetworkMode = Literal["bridge", "none", "host"]
    Protocol = Literal["tcp", "udp"]

NETWORK_MODES = ("bridge", "none", "host")
"""The words of `network.mode`."""

PROTOCOLS = ("tcp", "udp")

PORT_MAX = 65535


class InterfaceSpec(Record):
    """One network interface of the container's.

    Attributes:
        kind: ``bridge``: one end of a veth pair whose other end is a port of a bridge. ``macvlan``: a second face of
            an interface of the host's.
        name: As seen inside.
        bridge: Name of the bridge.
        bridge_ip: The bridge's address with the length of its network; empty asks the bridge, which must exist then.
        address: IPv4 address inside; ``auto`` takes a free one. Of a macvlan with its length, or empty for none.
        host_name: The end on the host; empty makes a name.
        parent: The host's interface under a macvlan.
    """

    kind: Literal["bridge", "macvlan"] = "bridge"
    name: str = "eth0"
    bridge: str = ""
    bridge_ip: str = ""
    address: str = "auto"
    host_name: str = ""
    parent: str = ""
    where: Where | None = None


class PublishSpec(Record):
    """Ports of the host that lead into the container.

    Attributes:
        ip: The host's address they are published on; empty for all.
        first, last: Ports on the host.
        to: Port inside that `first` leads to; the others follow.
    """

    proto: Protocol
    ip: str
    first: int
    last: int
    to: int
    where: Where | None = None


class EgressSpec(Record):
    """What the container may connect to.

    Attributes:
        target: An address, a network, or the name of a host; ``*.`` before a name means all below it.
        is_name: It is a name.
        proto: ``tcp``, ``udp``, or empty for every protocol.
        first, last: Ports; 0 to 65535 for all.
    """

    target: str
    is_name: bool
    proto: str
    first: int
    last: int
    where: Where | None = None


class NetworkSpec(Record):
    """The network of a container whose network is not the host's.

    Attributes:
        mode: ``bridge``, ``none`` (loopback only), or ``share``.
        share: The container whose network is shared.
        interfaces: The first one has the default route.
        namespace: Name under which ``ip netns`` shows the network namespace; empty for none.
        cleanup: What was made for the container on the host goes with it.
        ipv6: Give IPv6 addresses where the host has IPv6.
        mtu: Of all interfaces; None takes that of the host's way out.
        egress: What it may connect to; None for everything.
        dns, search: For resolv.conf; empty for the host's.
        hosts: Further lines of /etc/hosts: address by name.
        upload_bits, download_bits: Most bits per second out of and into the first interface; None for no limit.
    """

    mode: Literal["bridge", "none", "share"] = "bridge"
    share: str = ""
    interfaces: tuple[InterfaceSpec, ...] = ()
    namespace: str = ""
    cleanup: bool = True
    ipv6: bool = True
    mtu: int | None = None
    publish: tuple[PublishSpec, ...] = ()
    egress: tuple[EgressSpec, ...] | None = None
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    hosts: Mapping[str, str]
    upload_bits: int | None = None
    download_bits: int | None = None
    where: Where | None = None


class Interface(Record):
    """An interface that a container has, as hooks and `inspect` see it.

    Attributes:
        name: Inside.
        host_name: The other end on the host; empty for a macvlan.
        bridge: The bridge; empty for a macvlan.
        address, address6: With the length of the network, as in ``10.0.0.2/24``; empty for none.
        gateway, gateway6: Where the default route leads; empty for none.
        mac: Its hardware address.
        mtu: Bytes of the largest packet.
    """

    name: str
    host_name: str
    bridge: str
    address: str
    address6: str
    gateway: str
    gateway6: str
    mac: str
    mtu: int


class Network(Record):
    """What hooks receive as ``base.network``.

    Attributes:
        mode: ``bridge``, ``none`` or ``share``.
        interfaces: All but the loopback.
    """

    mode: str
    interfaces: tuple[Interface, ...] = ()

    @property
    def address(self) -> str:
        """The IPv4 address of the first interface, without its length; empty for none."""
        return self.interfaces[0].address.partition("/")[0] if self.interfaces else ""
