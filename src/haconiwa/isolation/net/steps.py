"""The steps that give a container its network. Loaded only for containers that ask for one.

Reserving comes before the container's process exists, so that what is taken or missing is found then. Its links are
made while the process builds its mounts; the program does not run before they are there.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import HostError
from haconiwa.host.tools import find_program, open_network_namespace
from haconiwa.isolation.net import etc, leases, links, netns
from haconiwa.isolation.step import CHILD, PARENT, SUPERVISOR, Site, Step
from haconiwa.spec.network import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.isolation.net.leases import Reservation
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import NetworkSpec

NETWORK_READY = b"N"
"""What the supervisor tells a child whose hooks want to see the network."""

_CHILD_POINTS = ("after_fork", "after_network_initialized")


class HoldNetwork(Step):
    """Take over what a container has whose supervisor has died."""

    __slots__ = ("network",)

    def __init__(self, network: NetworkSpec) -> None:
        super().__init__(SUPERVISOR, network.where)
        self.network = network

    def describe(self) -> str:
        return "take over its network"

    def execute(self, site: Site) -> None:
        site.network = leases.take_up(site.spec.name)
        interfaces = site.network.lease.interfaces if site.network is not None else ()
        _tell(site, Network(mode=self.network.mode, interfaces=interfaces))

    def undo(self, site: Site) -> None:
        reservation, site.network = site.network, None  # first: an undo that failed is called again
        if reservation is not None:
            leases.release(reservation)


class ReserveNetwork(HoldNetwork):
    """Take addresses and ports, and make the bridges that are missing."""

    __slots__ = ()

    def describe(self) -> str:
        wanted = [
            f'{interface.name} at "{interface.parent}"' if interface.kind == "macvlan" else
            f'{_article(interface.address)} on the bridge "{interface.bridge}"' for interface in self.network.interfaces
        ]  # fmt: skip
        ports = [_published(one.proto, one.first, one.last) for one in self.network.publish]
        return f"reserve {', '.join([*wanted, *ports])}"

    def execute(self, site: Site) -> None:
        for program in _programs(self.network):
            find_program(program)
        notices: list[str] = []  # said later: every container with a network waits for the store
        reservation = leases.reserve(site.spec, self.network, notices.append)
        site.network = reservation
        for notice in notices:
            _say(site, notice)
        _tell(site, Network(mode=self.network.mode, interfaces=reservation.lease.interfaces))


class MakeLinks(Step):
    """Make the links between the container's network namespace and the host, and the rules for them."""

    __slots__ = ("network",)

    def __init__(self, network: NetworkSpec) -> None:
        super().__init__(PARENT, network.where)
        self.network = network

    def describe(self) -> str:
        names = ", ".join(interface.name for interface in self.network.interfaces)
        limits = [
            f"{word} {bits} bit/s"
            for word, bits in (("upload", self.network.upload_bits), ("download", self.network.download_bits))
            if bits
        ]
        return f"connect {names}{' with ' + ' and '.join(limits) if limits else ''}"

    def execute(self, site: Site) -> None:
        reservation: Reservation = _reservation(site)
        namespace_fd = open_network_namespace(site.child_pid)
        try:
            links.make_links(reservation.lease, self.network, namespace_fd)
        finally:
            os.close(namespace_fd)
        if reservation.connecting is not None:
            reservation.connecting.finish()
        if self.network.namespace:
            netns.give_name(self.network.namespace, site.child_pid)


class TellNetworkReady(Step):
    """Let the child's hooks go on."""

    def __init__(self) -> None:
        super().__init__(PARENT)

    def describe(self) -> str:
        return "tell the container's process that its network is up"

    def execute(self, site: Site) -> None:
        os.write(site.channel_fd, NETWORK_READY)


class AwaitNetwork(Step):
    """Wait for the network, because hooks in the container's process want to see it."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "wait for the network"

    def execute(self, site: Site) -> None:
        if os.read(site.channel_fd, 16) != NETWORK_READY:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))


class NameNetwork(Step):
    """Tell the hooks of a container without interfaces what it has."""

    __slots__ = ("mode",)

    def __init__(self, network: NetworkSpec) -> None:
        super().__init__(SUPERVISOR, network.where)
        self.mode = network.mode

    def describe(self) -> str:
        return "give it no network but the loopback interface"

    def execute(self, site: Site) -> None:
        _tell(site, Network(mode=self.mode))


def plan_reserving(network: NetworkSpec) -> list[Step]:
    """The steps before the container's process exists."""
    if network.mode == "bridge":
        return [ReserveNetwork(network)]
    return [NameNetwork(network)] if network.mode == "none" else []


def plan_connecting(spec: ContainerSpec, network: NetworkSpec) -> list[Step]:
    """The supervisor's steps while the container's process is being built; the hooks come behind them."""
    if network.mode != "bridge":
        return []
    steps: list[Step] = [MakeLinks(network)]
    if etc.needs_forwarder(spec, network):
        from haconiwa.isolation.net.guard import StartGuard

        steps.append(StartGuard(spec, network))
    return steps


def plan_again(spec: ContainerSpec, network: NetworkSpec) -> list[Step]:
    """The steps of a supervisor that takes over a container which has this network already."""
    steps: list[Step] = [HoldNetwork(network)]
    if etc.needs_forwarder(spec, network):
        from haconiwa.isolation.net.guard import ResumeGuard

        steps.append(ResumeGuard(spec, network))
    return steps


def plan_telling(spec: ContainerSpec, network: NetworkSpec) -> list[Step]:
    """The supervisor's last step, after the `after_network_created` hooks, if the child waits for it."""
    return [TellNetworkReady()] if _child_waits(spec, network) else []


def plan_waiting(spec: ContainerSpec, network: NetworkSpec) -> list[Step]:
    """The child's step before its first hooks."""
    return [AwaitNetwork()] if _child_waits(spec, network) else []


def _child_waits(spec: ContainerSpec, network: NetworkSpec) -> bool:
    return network.mode == "bridge" and any(spec.hooks_at(point) for point in _CHILD_POINTS)


def _programs(network: NetworkSpec) -> list[str]:
    limited = network.upload_bits or network.download_bits
    return ["ip", "nft", "tc"] if limited else ["ip", "nft"]


def _article(address: str) -> str:
    return "a free address" if address == "auto" else address


def _published(proto: str, first: int, last: int) -> str:
    return f"the {proto} port {first}" if first == last else f"the {proto} ports {first}-{last}"


def _reservation(site: Site) -> Reservation:
    if site.network is None:
        raise HostError("cannot connect the container", why="nothing was reserved")
    reservation: Reservation = site.network
    return reservation


def _tell(site: Site, network: Network) -> None:
    if site.base is not None:
        site.base.network = network  # type: ignore[attr-defined]


def _say(site: Site, text: str) -> None:
    log: Callable[[str], None] | None = getattr(site.base, "log", None)
    if log is not None:
        log(text)
