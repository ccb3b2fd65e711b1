"""``haconiwa provision``: furnish an existing root file system again."""

from __future__ import annotations

from functools import partial

from haconiwa.build.provision import provision
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.cli.progress import Progress, add_loudness
from haconiwa.cli.start import load_usable, select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import ContainerSpec

DESCRIPTION = """\
Run the provisioning steps of a haco file in its existing root file system, in their order, up to the first that fails.

Each step runs in a container of its own with the host's network, so that package managers work. Steps are named by
run_shell(code, name="…"), run_python(fn, name="…") and copy(src, to, name="…"). Without a name they have their kind and
the number among all steps: shell-1, python-2, copy-3."""
EPILOG = """\
examples:
  haconiwa provision web.haco                    every step
  haconiwa provision -r packages,users web.haco  these two"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-r", "--run-only", metavar="NAME,NAME", type=_names, default=(), help="only these steps")
    add_loudness(parser, "print how long it has taken so far")
    parser.add_argument("-n", "--name", help="only this container of the file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Provision one after the other; what several containers share is done once."""
    spec = as_caller_may(select(load_usable(arguments.file), arguments.name), "provision")
    done = set()
    for container in spec.containers:
        job = (container.rootfs, container.provision)
        if job not in done:
            done.add(job)
            if status := with_files_of(container, partial(_provision, container, arguments, output)):
                return status
    return 0


def _provision(container: ContainerSpec, arguments: SimpleNamespace, output: Output) -> int:
    with Progress(output, verbose=arguments.verbose) as progress:
        provision(container, progress, only=arguments.run_only)
    return 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names):
        raise ValueError(text)
    return names


_names.__name__ = "a list of names"  # for the message about a value that is none
