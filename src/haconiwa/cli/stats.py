"""``haconiwa stats``: what containers use of the machine."""

from __future__ import annotations

import json
import select
import time

from haconiwa.cli.output import is_screen
from haconiwa.cli.screen import Screen
from haconiwa.cli.stats_table import Painter, plain_lines
from haconiwa.cli.targets import all_states, find
from haconiwa.errors import ContainerError
from haconiwa.lifecycle.measure import describe, measure
from haconiwa.lifecycle.state import live_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.cli.stats_table import Row
    from haconiwa.lifecycle.measure import Measurement
    from haconiwa.lifecycle.state import State

DESCRIPTION = """\
Show what containers use: processor time (100% is one processor), memory, processes, and bytes that went over the
network and to and from disks. Once a second; on a terminal as a screen with small graphs, which Python's rich draws and
the key q ends, elsewhere as text.

The first figure of the processor is the average since the container's start, each further one that of the time since
the one before. What no control group of the container's counts is added up over its processes and has a ~ before it,
but for PIDS."""
EPILOG = """\
examples:
  haconiwa stats                        all containers, until q is typed
  haconiwa stats --no-stream web        once
  haconiwa stats -n child-1 barn.haco   one of a file's containers
  haconiwa stats --json web | jq '.[0].memory'"""

_INTERVAL_S = 1.0
_NOTHING = "no container exists"
_WITHOUT_RICH = "notice: graphs and colours take Python's rich: apt install python3-rich, or pip install rich"


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "targets", metavar="FILE|NAME", nargs="*", help="only these containers, or those of these files"
    )
    parser.add_argument("-n", "--name", help="of a file's containers only this one")
    parser.add_argument("--json", action="store_true", help="print a list of objects, each second on one line")
    parser.add_argument("--no-stream", action="store_true", help="print the figures once and end")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Show the figures, once or until told to end."""
    looks = Looks(arguments.targets, arguments.name)
    first = looks.take()
    if not first and not arguments.json:
        output.say(_NOTHING)
    elif not first or arguments.no_stream:
        output.result(json.dumps(first, indent=2) if arguments.json else "\n".join(plain_lines(first)))
    elif is_screen(1) and not arguments.json:
        _show(first, looks, output)
    else:
        for rows in _each_second(first, looks):
            output.result(json.dumps(rows) if arguments.json else "\n".join([*plain_lines(rows), ""]))
    return 0


class Looks:
    """Looks at containers again and again, each time at those that exist then.

    Args:
        words: Names of containers, and paths of haco files; all containers when empty.
        name: Of those only the container of that name.
    """

    def __init__(self, words: list[str], name: str | None) -> None:
        self._words = words or ([name] if name else [])
        self._name = name
        self._before: dict[str, Measurement] = {}
        self._again = False

    def take(self) -> list[Row]:
        """The figures of all.

        Raises:
            ContainerError: At the first look: there is no such container. Later it may come and go.
        """
        found = [measure(state, live_status(state)) for state in self._states()]
        rows = [describe(one, self._before.get(one.name)) for one in found]
        self._before = {one.name: one for one in found}
        self._again = True
        return rows

    def _states(self) -> list[State]:
        if not self._words:
            return all_states()
        states: dict[str, State] = {}
        for word in self._words:
            try:
                states.update({state.name: state for state in find(word, self._name)})
            except ContainerError:
                if not self._again:
                    raise
        return list(states.values())


def _each_second(first: list[Row], looks: Looks) -> Iterator[list[Row]]:
    """The first figures, and new ones each second for as long as somebody reads."""
    reader = select.poll()
    reader.register(1, 0)  # tells of nothing but errors: nobody reads
    due, rows = time.monotonic(), first
    while True:
        yield rows
        due += _INTERVAL_S
        if reader.poll(max(0.0, due - time.monotonic()) * 1000):
            raise BrokenPipeError
        rows = looks.take()


def _show(rows: list[Row], looks: Looks, output: Output) -> None:
    """The figures on a screen, until the user has seen enough."""
    painter = _painter(output)
    painter.add(rows)

    def lines(columns: int) -> list[str]:
        return [*painter.lines(columns), *([] if painter.rows else [_NOTHING])]

    try:
        Screen(lines, lambda: painter.add(looks.take()), _INTERVAL_S).run()
    except KeyboardInterrupt:
        return


def _painter(output: Output) -> Painter:
    try:
        from haconiwa.cli.stats_graphs import Graphs
    except ImportError:
        output.say(_WITHOUT_RICH)
        return Painter()
    return Graphs()
