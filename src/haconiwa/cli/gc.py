"""``haconiwa gc``: remove what containers have left behind."""

from __future__ import annotations

import json
from functools import partial

from haconiwa.cli.output import print_error
from haconiwa.cli.privilege import with_files_of_all
from haconiwa.errors import EXIT_FAILURE, HaconiwaError, HostError, describe_errno, printable
from haconiwa.lifecycle.leftovers import Leftover, find_leftovers, orphans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = """\
Remove what containers have left whose supervisor was killed: their records, groups, networks and thrown layers. The
next start of the same name does that too; this is for those that are never started again.

What runs is not touched, also not a container that has lost its supervisor: haconiwa stop ends it. With --all the
caches go as well: compiled filters, and what haconiwa images lists and nothing lies over. All that is made or fetched
again when needed."""
EPILOG = """\
examples:
  haconiwa gc --dry-run        what would go
  haconiwa gc
  haconiwa gc --all            the caches too"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("--all", action="store_true", help="the caches too")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Find, remove, tell."""
    return with_files_of_all(lambda: _run(arguments, output))


def _run(arguments: SimpleNamespace, output: Output) -> int:
    for name in orphans():
        output.say(f"{name}: runs without a supervisor and is left alone: haconiwa start --adopt or stop {name}")
    found = find_leftovers(caches=arguments.all) + _kept(arguments)
    gone = found if arguments.dry_run else [leftover for leftover in found if _is_removed(leftover)]
    if arguments.json:
        output.result(json.dumps([{"kind": leftover.kind, "name": leftover.name} for leftover in gone], indent=2))
    else:
        word = "Would remove" if arguments.dry_run else "Removed"
        for leftover in gone:
            output.result(f"{word} {leftover.kind} {printable(leftover.name)}")
        if not found:
            output.say("There is nothing to remove")
    return 0 if len(gone) == len(found) else EXIT_FAILURE


def _kept(arguments: SimpleNamespace) -> list[Leftover]:
    """What is kept for building and can go, when that is asked for."""
    if not arguments.all:
        return []
    from haconiwa.build.cache import remove_cached, unused

    entries = unused(clear=not arguments.dry_run)
    return [Leftover(kind=entry.kind, name=entry.path, remove=partial(remove_cached, entry)) for entry in entries]


def _is_removed(leftover: Leftover) -> bool:
    what = f"cannot remove {leftover.kind} {leftover.name}"
    try:
        leftover.remove()
    except HaconiwaError as error:
        print_error(HostError(what, why=str(error)))
    except OSError as error:
        print_error(HostError(what, why=describe_errno(error.errno or 0)))
    else:
        return True
    return False
