"""``haconiwa events``: what happened to containers."""

from __future__ import annotations

import json
import os
import time

from haconiwa.cli.targets import count
from haconiwa.errors import printable
from haconiwa.host.paths import events_file
from haconiwa.lifecycle.follow import Follower
from haconiwa.lifecycle.state import recorded_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import SimpleNamespace
    from typing import Any

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

    Event = dict[str, Any]

DESCRIPTION = """\
Print what happened to containers, oldest first: created, started, adopted, ready, not_ready, unhealthy, healthy,
reloaded, reload_failed, hook_failed, memory_pressure, oom, pids_max, egress_denied, exited, restarting, failed (a
start), removed. They are kept in a log of bounded size that outlives the containers.

An exit has a reason: exit, signal (with its name, and who sent it where that is known), timeout (it did not heed TERM
in time), oom, seccomp, unknown (it was adopted, and the kernel did not tell)."""
EPILOG = """\
examples:
  haconiwa events                       everything that is known
  haconiwa events -f web                go on printing what happens to "web"
  haconiwa events --json | jq -r 'select(.event == "exited") | .reason'"""

_FIRST = ("time", "name", "event")


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("targets", metavar="FILE|NAME", nargs="*", help="only these containers, or those of a file")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what happens")
    parser.add_argument("-n", "--lines", metavar="N", type=count, help="of the past only the last N")
    parser.add_argument("--json", action="store_true", help="print one object a line")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print the past, and with -f what follows."""
    path = events_file()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    chosen = _Chosen(arguments.targets)
    with Follower(path) as follower:
        wanted = chosen.of((*_read(f"{path}.1"), *_parse(follower.read_lines())))
        if arguments.lines is not None:
            wanted = wanted[max(0, len(wanted) - arguments.lines) :]
        _print(wanted, arguments.json, output)
        while arguments.follow:
            follower.wait()
            _print(chosen.of(_parse(follower.read_lines())), arguments.json, output)
    return 0


class _Chosen:
    """The containers that the command line means; those of a file are found by the events of their making.

    Args:
        words: Names, and paths of haco files; all containers when empty.
    """

    def __init__(self, words: list[str]) -> None:
        self._all = not words
        self._names = set(words)
        self._files = {recorded_file(word) for word in words}
        self._of_files: set[str] = set()

    def of(self, events: Iterable[Event]) -> list[Event]:
        """Those of some events that are theirs, in the order in which they happened."""
        return [event for event in events if self._is_meant(event)]

    def _is_meant(self, event: Event) -> bool:
        name = str(event.get("name"))
        if "haco_file" in event:
            self._of_files.discard(name)
            if event["haco_file"] in self._files:
                self._of_files.add(name)
        return self._all or name in self._names or name in self._of_files


def _read(path: str) -> Iterator[Event]:
    try:
        with open(path, "rb") as file:
            yield from _parse(file.read().splitlines())
    except FileNotFoundError:
        return


def _parse(lines: list[bytes]) -> Iterator[Event]:
    """The events of some lines; what is no event is passed over."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _print(events: list[Event], as_json: bool, output: Output) -> None:
    for event in events:
        output.result(json.dumps(event) if as_json else describe(event))


def describe(event: Event) -> str:
    """An event as one line: when, who, what, and the details as name=value."""
    moment = event.get("time")
    seconds = moment if isinstance(moment, (int, float)) else 0
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{int(seconds * 1000) % 1000:03}"
    details = [f"{key}={_shown(value)}" for key, value in event.items() if key not in _FIRST]
    return printable(" ".join([when, str(event.get("name")), str(event.get("event")), *details]))


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text else text
