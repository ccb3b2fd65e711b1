"""Copies of whole root file systems.

On btrfs a root that is kept, and every copy, is a subvolume: a copy is then a snapshot, made in one step. Otherwise the
machine's own cp works, which shares all blocks where the file system can (btrfs, XFS).
"""

from __future__ import annotations

from collections.abc import Callable

from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.programs import execute_program, find_program, program_environment, run_checked
from haconiwa.host.subvolumes import make_directory, snapshot
from haconiwa.kernel.mount import MS, mount


def copy_tree(source: str, target: str, on_line: Callable[[str], object]) -> None:
    """Copy a directory with owners, times, attributes, hard links and holes; nothing that is mounted below.

    Args:
        source: Absolute host path; nobody changes what is in it meanwhile.
        target: Absolute host path; nothing is there.
        on_line: Is told what cp has to say.

    Raises:
        BuildError: It failed, as when the disk is full.
        HostError: There is no cp.
    """
    try:
        if snapshot(source, target):
            return
    except OSError as error:
        raise BuildError(f'cannot copy "{source}"', why=describe_errno(error.errno or 0)) from None
    copy_files(source, target, on_line)


def copy_files(
    source: str, target: str, on_line: Callable[[str], object], prepare: Callable[[], object] = lambda: None
) -> None:
    """Copy as `copy_tree`, but file by file.

    Args:
        source: As for `copy_tree`.
        target: As for `copy_tree`.
        on_line: As for `copy_tree`.
        prepare: Called first by the helper, which has a mount namespace of its own.

    Raises as `copy_tree`.
    """
    options = ("--archive", "--reflink=auto", "--sparse=auto", "--no-target-directory")
    argv = (find_program("cp"), *options, source, target)
    environment = program_environment()
    _make_target(target)

    def work() -> int:
        prepare()
        hide_mounts(source)
        execute_program(argv, environment)

    run_checked(work, on_line, argv=argv, hint="")


def hide_mounts(path: str) -> None:
    """Let nothing be seen any more that is mounted below a directory.

    Programs that can stay on one file system leave out the content of subvolumes too, which belongs to the directory.

    Runs in: a helper with a mount namespace of its own.
    """
    mount(path, path, None, MS.BIND)


def _make_target(path: str) -> None:
    try:
        make_directory(path)
    except OSError as error:
        raise BuildError(f'cannot make "{path}"', why=describe_errno(error.errno or 0)) from None
