"""``haconiwa plan``: show every step of a start without doing it."""

from __future__ import annotations

import json
import os

from haconiwa.cli.privilege import as_caller_may
from haconiwa.cli.start import select
from haconiwa.dsl.load import load_file
from haconiwa.errors import printable
from haconiwa.host.cgroups import hierarchies
from haconiwa.lifecycle.id_ranges import take_id_ranges
from haconiwa.lifecycle.plan import plan_start, warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import BarnSpec

DESCRIPTION = """\
Show every step that start would take, in order, and do none of them. It needs no root.

An ordinary user sees what its own start would do, or that of root where a container has no user namespace.

Steps run in these places:
  supervisor  on the host, before the container's process exists
  clone       in the supervisor: the process is made, with its namespaces
  parent      in the supervisor, while the container's process is being built
  child       in the container's process, with the host's root still there
  inside      in the container's process, in the new root
  running     in the supervisor, while the container's program runs"""
EPILOG = """\
examples:
  haconiwa plan web.haco
  haconiwa plan --json web.haco | jq '.[0].steps | length'"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-n", "--name", help="only this container of the file")
    parser.add_argument("--json", action="store_true", help="print a list with one object per container")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print the plan of every container."""
    spec = select(load_file(arguments.file), arguments.name)
    if all("user" in container.namespaces for container in spec.containers):
        spec = as_caller_may(spec, "start")
    spec = take_id_ranges(spec, keep=False)
    plans = plan_all(spec)
    if arguments.json:
        output.result(json.dumps([{"name": name, "steps": describe(steps)} for name, steps in plans.items()], indent=2))
        return 0
    for name, steps in plans.items():
        output.result(f"{name}: {len(steps)} steps")
        for number, step in enumerate(steps, 1):
            output.result(f"{number:>4}  {step.place:<10}  {printable(step.describe())}")
        for line in warnings(steps, name):
            output.say(line)
    return 0


def plan_all(spec: BarnSpec) -> dict[str, list[Step]]:
    """The steps that start would take for each container, by its name.

    Raises:
        ConfigError: Something that only shows when the steps are made.
    """
    found = hierarchies()
    term = os.environ.get("TERM") if os.isatty(0) and os.isatty(1) else None
    return {
        container.name: plan_start(container, found, daemon=spec.daemonize, term=term) for container in spec.containers
    }


def describe(steps: list[Step]) -> list[dict[str, object]]:
    """Steps as plain values."""
    return [
        {
            "number": number,
            "place": step.place,
            "what": step.describe(),
            "where": str(step.where) if step.where else None,
        }
        for number, step in enumerate(steps, 1)
    ]
