"""``haconiwa inspect``: a container's configuration and state as JSON."""

from __future__ import annotations

import json
import os

from haconiwa.cli.ps import describe
from haconiwa.cli.start import select
from haconiwa.cli.targets import add_target, find
from haconiwa.errors import ContainerError
from haconiwa.lifecycle.members import container_pids
from haconiwa.spec.record import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.lifecycle.state import State
    from haconiwa.spec.model import BarnSpec, ContainerSpec

DESCRIPTION = """\
Print a list with one object per container: what ps --json says of it, its processes, control groups and interfaces,
and under "config" its effective configuration with every default.

Of a container that exists this is what was recorded at its start; its haco file is not executed. A file of which
nothing exists is loaded to show what it describes."""
EPILOG = """\
examples:
  haconiwa inspect web
  haconiwa inspect web.haco | jq '.[0].config.mounts'"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    add_target(parser)


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print records, or what the file describes."""
    try:
        shown = [_recorded(state) for state in find(arguments.target, arguments.name)]
    except ContainerError:
        if not os.path.exists(arguments.target):
            raise
        shown = _described(arguments.target, arguments.name)
    output.result(json.dumps(shown, indent=2))
    return 0


def _recorded(state: State) -> dict[str, object]:
    return {
        **describe(state),
        "haco_file": state.haco_file,
        "container_pid_file": state.pid_file,
        "health": state.health,
        "cgroups": list(state.cgroups),
        "processes": container_pids(state),
        "interfaces": _interfaces(state),
        "config": state.config,
    }


def _interfaces(state: State) -> list[object]:
    """The interfaces of a container on a network of ours, with the addresses they were given."""
    if not state.config.get("network"):
        return []
    from haconiwa.isolation.net.store import read_lease

    lease = read_lease(state.name)
    return [to_plain(interface) for interface in lease.interfaces] if lease else []


def _described(path: str, name: str | None) -> list[dict[str, object]]:
    from haconiwa.dsl.load import load_file

    spec = select(load_file(path), name)
    return [_planned(spec, container) for container in spec.containers]


def _planned(spec: BarnSpec, container: ContainerSpec) -> dict[str, object]:
    return {
        "name": container.name,
        "pid": None,
        "supervisor_pid": None,
        "status": "stopped",
        "created_at": None,
        "command": list(container.init_command),
        "root": container.rootfs.path if container.rootfs else "/",
        "metadata": dict(container.metadata),
        "haco_file": spec.file,
        "container_pid_file": container.container_pid_file,
        "health": "",
        "cgroups": [],
        "processes": [],
        "interfaces": [],
        "config": to_plain(container),
    }
