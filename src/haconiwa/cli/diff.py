"""``haconiwa diff``: what a container has changed in its own layer."""

from __future__ import annotations

from functools import partial

from haconiwa.build.layer import changes
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.cli.start import load_usable, select
from haconiwa.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import ContainerSpec

DESCRIPTION = """\
Show what a container with rootfs.overlay has changed: A for what is new, C for what is changed, D for what is gone."""
EPILOG = """\
examples:
  haconiwa diff web.haco
  haconiwa diff -n child-1 barn.haco"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-n", "--name", help="only this container of the file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print a line for each change."""
    spec = as_caller_may(select(load_usable(arguments.file), arguments.name), "diff")
    for container in spec.containers:
        prefix = f"{container.name}: " if len(spec.containers) > 1 else ""
        if status := with_files_of(container, partial(_show, container, prefix, output)):
            return status
    return 0


def _show(container: ContainerSpec, prefix: str, output: Output) -> int:
    for letter, path in changes(container):
        output.result(f"{prefix}{letter} {printable(path)}")
    return 0
