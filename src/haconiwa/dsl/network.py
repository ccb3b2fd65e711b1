"""The section ``config.network``: where the container is connected, and what may pass."""

from __future__ import annotations

from haconiwa.dsl.live import DictSetting
from haconiwa.dsl.network_values import (
    address,
    bandwidth,
    bridge_address,
    egress_target,
    host_address,
    interface_address,
    interface_name,
    name_servers,
    netmask,
    port_range,
    prefixed,
    search_domains,
)
from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.spec.model import DEFAULT_BRIDGE
from haconiwa.spec.network import NETWORK_MODES, PROTOCOLS, InterfaceSpec, PublishSpec
from haconiwa.spec.values import Refused, between, boolean, container_name, host_name, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from haconiwa.spec.network import NetworkMode, Protocol

_PUBLISHED_MAX = 1024


def _mode(value: object) -> str:
    return one_of(value, NETWORK_MODES, "one of bridge none host")


class Network(Section):
    """The container's network. Any setting that needs one connects it to a bridge."""

    __slots__ = ()
    _section = "network"

    mode: Setting[NetworkMode, str | None] = Setting(_mode, None)
    """``bridge``; ``none``: loopback only; ``host``: the host's own network, the default."""

    namespace: Setting[str, str] = Setting(container_name, "")
    """A name for the network namespace, as ``ip netns`` shows it."""

    container_ip: Setting[str, str] = Setting(address, "auto")
    """IPv4 address inside, or ``auto`` for a free one, which stays the same for the container's name."""

    bridge_name: Setting[str, str] = Setting(interface_name, DEFAULT_BRIDGE)
    """The bridge to connect to. The default one, and one with a `bridge_ip`, are made when missing."""

    bridge_ip: Setting[str, str] = Setting(bridge_address, "")
    """Address of the bridge, with or without ``/24``: the container's gateway."""

    netmask: Setting[int | str, int] = Setting(netmask, 24)
    """Length of the bridge's network, where `bridge_ip` does not say it: ``24`` or ``255.255.255.0``."""

    veth_host: Setting[str, str] = Setting(interface_name, "")
    """Name of the interface's end on the host; made unless set."""

    veth_guest: Setting[str, str] = Setting(interface_name, "eth0")
    """Name of the interface inside."""

    cleanup: Setting[bool, bool] = Setting(boolean, True)
    """False: a bridge that was made on demand, and a named namespace, stay when the container has ended."""

    ipv6: Setting[bool, bool] = Setting(boolean, True)
    """Give IPv6 addresses too, where the host has IPv6."""

    mtu: Setting[int, int | None] = Setting(between(576, 65535, "a number of bytes"), None)
    """Largest packet in bytes; that of the host's way out unless set."""

    dns: Setting[Sequence[str], tuple[str, ...]] = Setting(name_servers, ())
    """Addresses of name servers; the host's unless set."""

    search: Setting[Sequence[str], tuple[str, ...]] = Setting(search_domains, ())
    """Domains in which short names are looked up; the host's unless set."""

    hosts: DictSetting = DictSetting(host_name, host_address)
    """Further lines of /etc/hosts, as ``network.hosts["db"] = "10.0.0.9"``."""

    upload: Setting[str | int, int | None] = Setting(bandwidth, None)
    """Most bits per second that leave the container, as in ``"10mbit"``."""

    download: Setting[str | int, int | None] = Setting(bandwidth, None)
    """Most bits per second that reach the container."""

    def share(self, name: str) -> None:
        """Use the network of another container, which must run: its interfaces, addresses and ports.

        Args:
            name: The other container's name.
        """
        with Recording(self, "share"):
            self._values["share"] = container_name(name)

    def publish(
        self, port: int | str, *, to: int | str | None = None, proto: Protocol = "tcp", ip: str | None = None
    ) -> None:
        """Let a port of the host lead into the container, which sees the address of whoever connects.

        Args:
            port: On the host; ``"8000-8010"`` for several.
            to: Port inside, or the first of as many; the same as outside unless given.
            proto: tcp or udp.
            ip: The host's address it is published on; all of them unless given.
        """
        with Recording(self, "publish") as where:
            first, last = port_range(port)
            inside, inside_last = (first, last) if to is None else port_range(to, last - first + 1)
            if last - first >= _PUBLISHED_MAX:
                raise Refused(f"more than {_PUBLISHED_MAX} ports")
            if inside_last - inside != last - first:
                raise Refused("port= and to= are not as many")
            published = PublishSpec(
                proto=_protocol(proto),
                ip="" if ip is None else host_address(ip),
                first=first,
                last=last,
                to=inside,
                where=where,
            )
            if published.ip == "::1":
                raise Refused('"::1" cannot lead anywhere else: the kernel does not route it', 'use "127.0.0.1"')
            self._values.setdefault("publish", []).append(published)

    def allow_egress(self, *targets: str, proto: Protocol | None = None) -> None:
        """Let the container connect to these and to nothing else. Without any target it can connect to nothing.

        Args:
            targets: ``"10.1.2.3"``, ``"10.1.0.0/16"``, ``"[fd00::1]:53"``, ``"deb.example.org:443"``,
                ``"*.example.org"``, each with or without a port.
            proto: tcp or udp; tcp with a port, and every protocol without one, unless given.
        """
        with Recording(self, "allow_egress") as where:
            chosen = None if proto is None else _protocol(proto)
            parsed = [egress_target(target, chosen, where) for target in targets]
            self._values.setdefault("egress", []).extend(parsed)

    def add_interface(
        self,
        name: str,
        *,
        bridge_name: str | None = None,
        bridge_ip: str = "",
        container_ip: str = "auto",
        macvlan: str | None = None,
        veth_host: str = "",
    ) -> None:
        """Give the container a further interface: to another bridge, or beside one of the host's by macvlan.

        Args:
            name: Inside, such as ``eth1``.
            bridge_name: The bridge.
            bridge_ip: Its address with the length, as in ``10.1.0.1/24``, if it may be made when missing.
            container_ip: Its IPv4 address; with macvlan including the length, or ``""`` for none.
            macvlan: Name of an interface of the host's.
            veth_host: Name of the end on the host.
        """
        with Recording(self, "add_interface") as where:
            if (bridge_name is None) == (macvlan is None):
                raise Refused("takes bridge_name= or macvlan=")
            interface = InterfaceSpec(
                kind="bridge" if macvlan is None else "macvlan",
                name=interface_name(name),
                bridge="" if bridge_name is None else interface_name(bridge_name),
                bridge_ip=prefixed(bridge_ip) if bridge_ip else "",
                address=address(container_ip) if macvlan is None else interface_address(container_ip),
                host_name=interface_name(veth_host) if veth_host else "",
                parent="" if macvlan is None else interface_name(macvlan),
                where=where,
            )
            self._values.setdefault("interfaces", []).append(interface)


def _protocol(value: object) -> Any:
    return one_of(value, PROTOCOLS, "one of tcp udp")
