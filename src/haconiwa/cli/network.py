"""``haconiwa network``: bridges, and what containers have on them."""

from __future__ import annotations

import json

from haconiwa.cli.privilege import require_root
from haconiwa.cli.ps import table
from haconiwa.errors import ConfigError, ContainerError, Problem
from haconiwa.isolation.net import bridges, leases
from haconiwa.isolation.net.store import Store
from haconiwa.spec.record import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.isolation.net.store import Bridge, Lease

DESCRIPTION = """\
List the bridges that haconiwa made and the containers on them, show one as JSON, or remove one that nobody uses.

A bridge is made by haconiwa new -N and stays, or on demand by the first container that asks for it and goes with the
last. What containers whose supervisor was killed have left is cleared away first. Bridges that somebody else made are
neither listed nor removed."""
EPILOG = """\
examples:
  haconiwa network ls
  haconiwa network inspect haconiwa0 | jq '.containers[].interfaces[].address'
  haconiwa network rm haconiwa0"""

_ACTIONS = ("ls", "inspect", "rm")
_HEAD = ("BRIDGE", "ADDRESS", "IPV6", "MTU", "CONTAINER", "ADDRESS", "PORTS")


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument("bridge", metavar="BRIDGE", nargs="?", help="for inspect and rm: which one")
    parser.add_argument("--json", action="store_true", help="for ls: print a list of objects")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """List, show or remove."""
    if (arguments.action == "ls") == bool(arguments.bridge):
        what = "takes no BRIDGE" if arguments.bridge else "which BRIDGE is meant?"
        raise ConfigError(Problem(f"network {arguments.action}: {what}", hint="haconiwa network --help"))
    require_root("network")
    with Store() as store:  # every container with a network waits meanwhile: nothing is printed here
        leases.recover(store)
        if arguments.action == "ls":
            lines = _listed(store, as_json=arguments.json)
        elif arguments.action == "inspect":
            lines = [json.dumps(_described(_found(store, arguments.bridge), store.leases()), indent=2)]
        else:
            _remove(store, _found(store, arguments.bridge))
            lines = []
    for line in lines:
        output.result(line)
    if arguments.action == "rm":
        output.say(f"Removed the bridge {arguments.bridge}")
    return 0


def _found(store: Store, name: str) -> Bridge:
    bridge = store.bridge(name)
    if bridge is None:
        raise ContainerError(f'cannot find a bridge "{name}" of ours', hint="haconiwa network ls lists them")
    return bridge


def _listed(store: Store, *, as_json: bool) -> list[str]:
    known, held = store.bridges(), store.leases()
    if as_json:
        return [json.dumps([_described(bridge, held) for bridge in known], indent=2)]
    rows = [row for bridge in known for row in _rows(bridge, [lease for lease in held if lease.uses(bridge.name)])]
    foreign = {i.bridge for lease in held for i in lease.interfaces} - {bridge.name for bridge in known}
    for name in sorted(foreign):
        rows += _container_rows((name or "-", "-", "-", "-"), [lease for lease in held if lease.uses(name)], name)
    return table([_HEAD, *rows])


def _rows(bridge: Bridge, users: list[Lease]) -> list[tuple[str, ...]]:
    own = (bridge.name, bridge.address, bridge.address6 or "-", str(bridge.mtu))
    return _container_rows(own, users, bridge.name) or [(*own, "-", "-", "-")]


def _container_rows(own: tuple[str, ...], users: list[Lease], bridge: str) -> list[tuple[str, ...]]:
    return [
        (*own, lease.name, interface.address.partition("/")[0] or "-", _ports(lease))
        for lease in users
        for interface in lease.interfaces
        if interface.bridge == bridge
    ]


def _ports(lease: Lease) -> str:
    """Published ports as ``8080/tcp``; those of IPv6 are the same."""
    shown = [f"{leases.host_side(element)[1]}/{map_[:3]}" for map_, element in lease.published]
    return " ".join(dict.fromkeys(shown)) or "-"


def _described(bridge: Bridge, held: list[Lease]) -> dict[str, object]:
    return {**to_plain(bridge), "containers": [to_plain(lease) for lease in held if lease.uses(bridge.name)]}


def _remove(store: Store, bridge: Bridge) -> None:
    users = [lease.name for lease in store.leases() if lease.uses(bridge.name)]
    if users:
        raise ContainerError(
            f'cannot remove the bridge "{bridge.name}"',
            why=f"used by {', '.join(users)}",
            hint=f"haconiwa stop {users[0]} first",
        )
    bridges.remove_bridge(store, bridge)
