"""``haconiwa version``."""

from __future__ import annotations

from haconiwa import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = "Print the version of haconiwa. Those of everything it uses: haconiwa revisions."


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("--json", action="store_true", help="print an object")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print it."""
    output.result(f'{{"haconiwa": "{__version__}"}}' if arguments.json else f"haconiwa {__version__}")
    return 0
