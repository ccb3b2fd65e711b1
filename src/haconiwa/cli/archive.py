"""``haconiwa archive``: write a root file system to an archive."""

from __future__ import annotations

import shlex

from haconiwa.build.archive import EXTENSIONS, TYPES, archive, archive_type, describe_size
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.cli.progress import Progress, add_loudness
from haconiwa.cli.start import load_usable, select
from haconiwa.errors import ConfigError, Problem
from haconiwa.host.image_record import with_recorded_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import ContainerSpec

DESCRIPTION = """\
Create and provision the root file system of a haco file, then write it to an archive.

The type follows the extension: .tar .tar.gz .tgz .tar.bz2 .tar.xz .tar.zst .squashfs; an oci archive is a directory
with an image in it. The same root gives the same bytes. Owners are kept by number, and so are hard links, sparse files,
capabilities, access lists and user attributes. The strategies tarball and oci read back what is written."""
EPILOG = """\
examples:
  haconiwa archive web.haco -d web.tar.zst
  haconiwa archive web.haco -d web-image -t oci     skopeo copy oci:web-image:latest ...
  haconiwa archive web.haco -d web.tgz -n           how large it would be
  haconiwa archive web.haco -d web.tgz --tar-options='--exclude=./tmp/*'"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-d", "--dest", metavar="PATH", help="the archive to write; needed")
    parser.add_argument("-t", "--type", choices=TYPES, help="what to write, whatever the extension")
    parser.add_argument("-O", "--tar-options", metavar="OPTIONS", default="", help="further options of tar, one word")
    parser.add_argument("-N", "--no-provision", action="store_true", help="bootstrap only")
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="write nothing, print the size; the root must be there"
    )
    add_loudness(parser, "print each member, and how long it has taken so far")
    parser.add_argument("--name", help="the container whose root is meant, where the file has several")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Create unless told otherwise, and write."""
    if not arguments.dest:
        raise ConfigError(Problem("archive needs the path to write to", hint="give it with -d PATH"))
    spec = select(load_usable(arguments.file), arguments.name)
    if len({container.rootfs for container in spec.containers}) > 1:
        raise ConfigError(Problem("the file has several root file systems", hint="choose one with --name NAME"))
    kind = arguments.type or archive_type(arguments.dest)
    if not kind:
        hint = f"give --type, or an extension: {' '.join(EXTENSIONS)}"
        raise ConfigError(Problem(f'"{arguments.dest}" does not say what type of archive it is', hint=hint))
    options = _words(arguments.tar_options)
    container = as_caller_may(spec, "archive").containers[0]
    return with_files_of(container, lambda: _archive(container, kind, options, arguments, output))


def _archive(
    container: ContainerSpec, kind: str, options: list[str], arguments: SimpleNamespace, output: Output
) -> int:
    with Progress(output, verbose=arguments.verbose) as progress:
        if container.bootstrap and not arguments.dry_run:
            from haconiwa.build.create import create  # half of the time that loading takes

            create(container, progress, provision=not arguments.no_provision)
            container = with_recorded_image(container)
        progress.step(f"Archiving {container.name}...")
        size = archive(
            container, arguments.dest, kind, progress,
            options=options, verbose=arguments.verbose, dry_run=arguments.dry_run,
        )  # fmt: skip
    if arguments.dry_run:
        output.result(describe_size(size))
    else:
        output.say(f"Archived {container.name} to {arguments.dest}: {describe_size(size)}")
    return 0


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(Problem(f"--tar-options: {error}")) from None
