"""``haconiwa commit``: fold a container's own layer into its root file system."""

from __future__ import annotations

from haconiwa.build.layer import commit
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.cli.progress import Progress
from haconiwa.cli.start import load_usable, select
from haconiwa.errors import ConfigError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import ContainerSpec

DESCRIPTION = """\
Make what a container with rootfs.overlay has changed part of its root file system, for all containers that share it.

The new root file system is made beside the old one and takes its place in one step. No container may run in it."""
EPILOG = """\
examples:
  haconiwa commit web.haco
  haconiwa commit -n child-1 barn.haco"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-n", "--name", help="this container of the file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Commit the one container that is meant."""
    spec = as_caller_may(select(load_usable(arguments.file), arguments.name), "commit")
    container, *others = spec.containers
    if others:
        names = ", ".join(each.name for each in (container, *others))
        raise ConfigError(Problem("commit takes the changes of one container", hint=f"choose one with -n: {names}"))
    return with_files_of(container, lambda: _commit(container, output))


def _commit(container: ContainerSpec, output: Output) -> int:
    with Progress(output) as progress:
        commit(container, progress)
    return 0
