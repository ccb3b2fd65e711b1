"""``haconiwa reload``: give running containers the limits that their haco file says now."""

from __future__ import annotations

from haconiwa.cli.privilege import as_caller_may
from haconiwa.cli.stop import report_all
from haconiwa.cli.targets import add_target, add_target_pid, find
from haconiwa.dsl.load import load_file
from haconiwa.errors import ContainerError, printable
from haconiwa.lifecycle.ask import ask
from haconiwa.lifecycle.reload import differences, other_differences, reload_data
from haconiwa.lifecycle.state import live_status, read_state
from haconiwa.supervisor.caller import check_caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace
    from typing import Any

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.lifecycle.state import State
    from haconiwa.spec.model import BarnSpec, ContainerSpec

DESCRIPTION = """\
Execute the haco file again, under the same checks as a start, and give its running containers the resource limits and
the settings of control groups that it says now. What has changed is shown; each container gets all of it or nothing.
Everything else that has changed in the file, its hooks as well, is for the next start and only pointed out.

The top level of the file runs again: what it does besides describing containers is done once more. SIGHUP to the
supervisor of a container in the background does the same."""
EPILOG = """\
examples:
  haconiwa reload web.haco
  haconiwa reload web                   by the container's name
  haconiwa reload -n child-1 barn.haco  one of a file's containers"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    add_target(parser)
    add_target_pid(parser)


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Reload one after the other; each file is executed once."""
    files: dict[str, BarnSpec] = {}
    failures = []
    for state in find(arguments.target, arguments.name, arguments.pid):
        if state.haco_file not in files:
            files[state.haco_file] = as_caller_may(load_file(state.haco_file), "reload")
            check_caller(files[state.haco_file])
        try:
            _reload(state, files[state.haco_file], output)
        except ContainerError as error:
            failures.append(error)
    report_all(failures)
    return 0


def _reload(state: State, file: BarnSpec, output: Output) -> None:
    spec = next((container for container in file.containers if container.name == state.name), None)
    if spec is None:
        raise ContainerError("cannot reload", why="the file does not describe it any more", subject=state.name)
    status = live_status(state)
    if status not in ("created", "running"):
        hint = f"run haconiwa start --adopt {file.file} first" if status == "orphaned" else ""
        raise ContainerError("cannot reload", why=f"it is {status}", hint=hint, subject=state.name)
    data = reload_data(spec)
    changes = _changes(state, data)
    ignored = other_differences(state.config, spec)
    if ignored:
        output.say(f"{state.name}: only a start takes over what has changed in {', '.join(ignored)}")
    try:
        ask(state.name, {"do": "reload", "data": data})
    except ContainerError:
        now = read_state(state.name)
        _tell_changes(spec, changes, _changes(now, data) if now else [], output)
        raise
    _tell_changes(spec, changes, [], output)
    output.say(f"{state.name}: reloaded" if changes else f"{state.name}: no limit has changed")


def _changes(state: State, data: dict[str, Any]) -> list[str]:
    return [line for lines in differences(state.config, data).values() for line in lines]


def _tell_changes(spec: ContainerSpec, changes: list[str], failed: list[str], output: Output) -> None:
    """Show what has changed, and with its line in the file what has not: all, or none if only a hook failed."""
    places = {limit.name: limit.where for limit in spec.rlimits}
    places |= {setting.named(): setting.where for setting in (spec.cgroup.settings if spec.cgroup else ())}
    for line in changes:
        where = places.get(line.partition(": ")[0])
        if line in failed:
            output.say(printable(f"{spec.name}: not changed: {line}{f' ({where})' if where else ''}"))
        else:
            output.result(printable(f"{spec.name}: {line}"))
