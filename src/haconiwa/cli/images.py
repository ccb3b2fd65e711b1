"""``haconiwa images``: list what building keeps."""

from __future__ import annotations

import json
import time

from haconiwa.build.cache import cached
from haconiwa.cli.privilege import with_files_of_all
from haconiwa.cli.ps import duration, table
from haconiwa.errors import printable
from haconiwa.host.sizes import show_size
from haconiwa.spec.record import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = """\
List what is kept for the next time, what was used last first: root file systems for containers of the same recipe,
downloads, layers of images, and packages that containers share. All of it can be made or fetched again.

A root file system that others lie over (rootfs.overlay) is in use: USERS says by how many."""
EPILOG = """\
examples:
  haconiwa images
  haconiwa images --json | jq 'map(.size) | add'      how much room it takes, in bytes"""

_HEAD = ("KIND", "NAME", "SIZE", "UNUSED FOR", "USERS", "ID")
_ID = 12


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print what there is."""
    return with_files_of_all(lambda: _run(arguments, output))


def _run(arguments: SimpleNamespace, output: Output) -> int:
    entries = cached()
    if arguments.json:
        output.result(json.dumps([to_plain(entry) for entry in entries], indent=2))
        return 0
    rows: list[tuple[str, ...]] = [_HEAD]
    for entry in entries:
        unused = duration(time.time() - entry.used_at)
        identity = entry.path.rpartition("/")[2][:_ID]
        rows.append((entry.kind, printable(entry.name), show_size(entry.size), unused, str(len(entry.users)), identity))
    for line in table(rows):
        output.result(line)
    return 0
