"""What a container on a network is shown as its /etc/hosts and /etc/resolv.conf: files of ours, mounted read-only."""

from __future__ import annotations

import os

from haconiwa.isolation.net.store import Lease, Store, container_folder
from haconiwa.spec.addresses import is_loopback, parse_address
from haconiwa.spec.model import MountSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import NetworkSpec

FILES = ("resolv.conf", "hosts")

_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_UPSTREAM = "/run/systemd/resolve/resolv.conf"
"""Where systemd-resolved names the servers it asks, when /etc/resolv.conf names only itself."""

FORWARDER = "127.0.0.11"
"""Where our own resolver listens inside, in containers that need it."""


def mounts(spec: ContainerSpec, network: NetworkSpec) -> list[MountSpec]:
    """Bind mounts of the files of a container, or of the one whose network it shares."""
    folder = container_folder(network.share or spec.name)
    return [
        MountSpec(
            kind="bind",
            source=f"{folder}/{name}",
            destination=f"/etc/{name}",
            readonly=True,
            optional=bool(network.share),
            recursive=False,
            where=network.where,
        )
        for name in FILES
    ]


def update_hosts(store: Store, bridges: set[str]) -> None:
    """Write the hosts files of all containers that are on one of these bridges."""
    leases = store.leases()
    for lease in leases:
        if any(lease.uses(bridge) for bridge in bridges):
            write_hosts(lease, leases)


def write_hosts(lease: Lease, leases: list[Lease]) -> None:
    """Write a container's hosts file: itself, those on its bridges, and its own lines.

    It is written in place, because a bind mount shows the file it was made from and not the one that takes its name.
    """
    bridges = {interface.bridge for interface in lease.interfaces if interface.bridge}
    lines = [_LOCAL, *_lines(lease, bridges)]
    for other in leases:
        if other.name != lease.name:
            lines += _lines(other, bridges)
    lines += [f"{address}\t{name}\n" for address, name in lease.hosts]
    write_in_place(f"{container_folder(lease.name)}/hosts", "".join(lines))


def _lines(lease: Lease, bridges: set[str]) -> list[str]:
    found = [i for i in lease.interfaces if i.bridge in bridges or (not bridges and i.address)]
    addresses = [a.partition("/")[0] for i in found for a in (i.address, i.address6) if a]
    return [f"{address}\t{' '.join(lease.names)}\n" for address in addresses]


def write_in_place(path: str, text: str) -> None:
    """Put a text into a file, which stays the same file; a reader never sees it empty."""
    data = text.encode("utf-8", "surrogateescape")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(fd, 0o644)  # whatever the umask says, everybody in the container may read it
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def needs_forwarder(spec: ContainerSpec, network: NetworkSpec) -> bool:
    """Whether the container can reach no name server by itself: what it asks is controlled, or the host's is local."""
    if network.mode != "bridge":
        return False
    if network.egress is not None:
        return True
    servers = name_servers(spec, network)
    return bool(servers) and all(is_loopback(*parse_address(server)) for server in servers)


def name_servers(spec: ContainerSpec, network: NetworkSpec) -> tuple[str, ...]:
    """The name servers to ask, as the host reaches them."""
    if network.dns:
        return network.dns
    servers = _listed(_host_file(spec), "nameserver")
    if servers and all(_is_local(server) for server in servers):
        servers = _listed(_UPSTREAM, "nameserver") or servers
    return tuple(server for server in servers if _is_address(server))


def write_resolv_conf(spec: ContainerSpec, network: NetworkSpec) -> None:
    """Write a container's resolv.conf."""
    servers = (FORWARDER,) if needs_forwarder(spec, network) else name_servers(spec, network)
    search = network.search or tuple(_listed(_host_file(spec), "search"))
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append(f"search {' '.join(search)}")
    write_in_place(f"{container_folder(spec.name)}/resolv.conf", "".join(f"{line}\n" for line in lines))


def _host_file(spec: ContainerSpec) -> str:
    return f"{spec.network_etc or '/etc'}/resolv.conf"


def _listed(path: str, keyword: str) -> list[str]:
    """The words behind a keyword of a resolv.conf; of several ``search`` lines the last counts."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    found = [line[1:] for line in lines if len(line) > 1 and line[0] == keyword]
    return [words[0] for words in found] if keyword == "nameserver" else (found[-1] if found else [])


def _is_address(text: str) -> bool:
    try:
        parse_address(text.partition("%")[0])
    except ValueError:
        return False
    return "%" not in text  # an interface of the host's means nothing inside


def _is_local(text: str) -> bool:
    return _is_address(text) and is_loopback(*parse_address(text))
