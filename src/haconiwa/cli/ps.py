"""``haconiwa ps``: list containers."""

from __future__ import annotations

import json

from haconiwa.cli.targets import all_states
from haconiwa.errors import printable
from haconiwa.lifecycle.identity import age_s
from haconiwa.lifecycle.state import live_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.errors import ContainerError
    from haconiwa.lifecycle.state import State

DESCRIPTION = """\
List containers, oldest first.

The status is creating, created, running, restarting (it waits for its next start), stopping (its program has ended,
hooks still run), stopped (its supervisor was killed and could not clean up; the next start, stop, kill or gc does) or
orphaned (its supervisor was killed, its program runs on: stop, kill and attach work, and start --adopt). The pids are
the host's. Of a damaged one the record cannot be read: only stop works."""
EPILOG = """\
examples:
  haconiwa ps
  haconiwa ps -q                                      names only
  haconiwa ps --json | jq -r '.[] | .name'            everything, also what the file says as metadata"""

_HEAD = ("NAME", "PID", "SUPERVISOR", "STATUS", "UPTIME", "COMMAND", "ROOT")
DAMAGED = "damaged"
_LONGEST_COMMAND = 40
_GAP = "  "


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("-q", dest="names_only", action="store_true", help="print names only")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print what is known of every container."""
    unreadable: list[ContainerError] = []
    states = all_states(unreadable)
    for error in unreadable:
        output.say(f"notice: {error}")
    names = [*(state.name for state in states), *(error.subject for error in unreadable)]
    if arguments.json:
        damaged = [describe_damaged(error.subject) for error in unreadable]
        output.result(json.dumps([*map(describe, states), *damaged], indent=2))
    elif arguments.names_only:
        for name in names:
            output.result(printable(name))
    else:
        damaged_rows = [(printable(error.subject), "-", "-", DAMAGED, "-", "-", "-") for error in unreadable]
        for line in table([_HEAD, *map(_row, states), *damaged_rows]):
            output.result(line)
    return 0


def describe(state: State) -> dict[str, object]:
    """A container as `ps --json` shows it. Pids are the host's, and None when there is no such process any more."""
    status = live_status(state)
    return {
        "name": state.name,
        "pid": state.init.pid or None if status not in ("stopped", "stopping") else None,
        "supervisor_pid": state.supervisor.pid if status not in ("stopped", "orphaned") else None,
        "status": status,
        "created_at": state.created_at,
        "command": list(state.config.get("init_command", ())),
        "root": state.root,
        "metadata": state.config.get("metadata", {}),
    }


def describe_damaged(name: str) -> dict[str, object]:
    """A container whose record cannot be read, as `ps --json` shows it: with every key, since scripts rely on them."""
    nothing = dict.fromkeys(("pid", "supervisor_pid", "created_at", "root"))
    return {"name": name, "status": DAMAGED, "command": [], "metadata": {}, **nothing}


def _row(state: State) -> tuple[str, ...]:
    known = describe(state)
    command = printable(" ".join(map(str, state.config.get("init_command", ()))))
    if len(command) > _LONGEST_COMMAND:
        command = command[: _LONGEST_COMMAND - 1] + "…"
    uptime = duration(age_s(state.init)) if known["pid"] else "-"
    shown = (known["name"], known["pid"] or "-", known["supervisor_pid"] or "-", known["status"], uptime, command)
    return (*(printable(str(text)) for text in shown), printable(state.root))


def duration(seconds: float) -> str:
    """A time span in its two largest units: ``3d 4h``, ``2m 5s``, ``7s``."""
    whole = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if whole >= size or (unit == "s" and not parts):
            parts.append(f"{whole // size}{unit}")
        elif parts:
            break
        whole %= size
    return " ".join(parts[:2])


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of text as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
