"""``haconiwa rm``: remove the root file system of a haco file."""

from __future__ import annotations

import os

from haconiwa.build.remove import remove
from haconiwa.cli.privilege import require_root, with_files_of_all
from haconiwa.cli.start import load_usable, select
from haconiwa.errors import ConfigError, Problem
from haconiwa.isolation.persistence import remove_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import BarnSpec

DESCRIPTION = """\
Remove the root file system of a haco file, and what haconiwa has recorded about it. The file itself stays.

Refused while a container runs in it, while something is mounted below it, and for a directory that haconiwa has not
made. A link in it is removed, not followed; where the root itself is a link, what it leads to is removed.

With --namespaces it is the namespaces that are kept by persist_in= which are removed, and nothing else. Programs that
are in one stay in it."""
EPILOG = """\
examples:
  haconiwa rm web.haco
  haconiwa rm --namespaces web.haco
  haconiwa rm --force web.haco          also a directory that you have made yourself"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("--force", action="store_true", help="also a directory that haconiwa has not made")
    parser.add_argument(
        "--namespaces", action="store_true", help="remove the kept namespaces, not the root file system"
    )
    parser.add_argument("-n", "--name", help="only the root file system of this container")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Remove each root once."""
    spec = select(load_usable(arguments.file), arguments.name)
    if arguments.namespaces:
        return _remove_namespaces(spec, output)
    roots: dict[str, tuple[int, ...]] = {}
    for rootfs in filter(None, (container.rootfs for container in spec.containers)):
        roots[rootfs.path] = (*roots.get(rootfs.path, ()), *rootfs.trusted_uids)
    if not roots:
        raise ConfigError(Problem(f'"{spec.file}" has no chroot_to, there is nothing to remove'))
    return with_files_of_all(lambda: _remove(roots, arguments, output))


def _remove(roots: dict[str, tuple[int, ...]], arguments: SimpleNamespace, output: Output) -> int:
    for path, trusted_uids in roots.items():
        real = os.path.realpath(path)
        was_there = os.path.lexists(real)
        remove(path, force=arguments.force, trusted_uids=trusted_uids)
        output.say(f"Removed rootfs {real}" if was_there else f"There is no rootfs {real}")
        if os.path.islink(path):
            output.say(f"{path} is a link to it and stays")
    return 0


def _remove_namespaces(spec: BarnSpec, output: Output) -> int:
    require_root("rm")
    for path in dict.fromkeys(kept.path for container in spec.containers for kept in container.persisted_namespaces):
        output.say(f"Removed namespace {path}" if remove_kept(path) else f"There is no namespace {path}")
    return 0
