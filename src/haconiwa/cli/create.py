"""``haconiwa create``: make the root file systems of a haco file."""

from __future__ import annotations

from functools import partial

from haconiwa.build.create import create
from haconiwa.build.kept import disk_usage
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.cli.progress import Progress, add_loudness
from haconiwa.cli.start import load_usable, select
from haconiwa.host.sizes import show_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import ContainerSpec

DESCRIPTION = """\
Make the root file system that a haco file asks for: bootstrap it with the file's strategy, then provision it.

It is built beside its place and renamed when it is complete, so that a failed or interrupted build leaves nothing that
looks complete. A root file system that is complete is left alone, and so is a directory that is not empty and was not
made by haconiwa. One whose provisioning failed is provisioned again. The containers of a barn are made one after the
other."""
EPILOG = """\
examples:
  haconiwa create web.haco              bootstrap and provision
  haconiwa create -N web.haco           bootstrap only
  haconiwa create --force web.haco      remove what haconiwa made before, and make it anew"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-N", "--no-provision", action="store_true", help="bootstrap only")
    parser.add_argument("--force", action="store_true", help="remove a root file system made by haconiwa first")
    add_loudness(parser)
    parser.add_argument("-n", "--name", help="only this container of the file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Create one after the other."""
    spec = as_caller_may(select(load_usable(arguments.file), arguments.name), "create")
    made: set[str] = set()
    provisioned = set()
    for container in spec.containers:
        path = container.rootfs.path if container.rootfs else ""
        force = arguments.force and path not in made  # a root that is shared must not be made again for each
        job = (container.rootfs, container.provision)  # what several containers share is done once
        provision = not arguments.no_provision and job not in provisioned
        status = with_files_of(
            container, partial(_create, container, arguments, output, force=force, provision=provision)
        )
        if status:
            return status
        provisioned.add(job)
        if container.bootstrap and not container.bootstrap.skip:
            made.add(path)
    return 0


def _create(
    container: ContainerSpec, arguments: SimpleNamespace, output: Output, *, force: bool, provision: bool
) -> int:
    with Progress(output, verbose=arguments.verbose) as progress:
        create(container, progress, force=force, provision=provision)
        if arguments.verbose:
            path = container.rootfs.path if container.rootfs else ""
            progress.step(f"Rootfs {path} has {show_size(disk_usage(path))}")
    return 0
