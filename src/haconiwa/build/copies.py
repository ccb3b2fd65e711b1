"""Copies of whole root file systems.

On btrfs a root that is kept, and every copy, is a subvolume: a copy is then a snapshot, made in one step. Otherwise the
machine's own cp works, which shares all blocks where the file system can (btrfs, XFS).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from haconiwa.build.report import Report
from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.programs import execute_program, program_environment, run_checked
from haconiwa.host.subvolumes import make_directory, snapshot
from haconiwa.host.tools import find_program
from haconiwa.kernel.mount import MS, mount


def copy_tree(source: str, target: str, report: Report, size: int = 0) -> None:
    """Copy a directory with owners, times, attributes, hard links and holes; nothing that is mounted below.

    Args:
        source: Absolute host path; nobody changes what is in it meanwhile.
        target: Absolute host path; nothing is there.
        report: Is told what cp has to say, and how far it is.
        size: How much it will be, in bytes, if that is known.

    Raises:
        BuildError: It failed, as when the disk is full.
        HostError: There is no cp.
    """
    try:
        if snapshot(source, target):
            return
    except OSError as error:
        raise BuildError(f'cannot copy "{source}"', why=describe_errno(error.errno or 0)) from None
    copy_files(source, target, report, size)


def copy_files(
    source: str, target: str, report: Report, size: int = 0, prepare: Callable[[], object] = lambda: None
) -> None:
    """Copy as `copy_tree`, but file by file.

    Args:
        source: As for `copy_tree`.
        target: As for `copy_tree`.
        report: As for `copy_tree`.
        size: As for `copy_tree`.
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

    pids: list[int] = []
    with report.measured(lambda: (_written_by(pids), size)):
        run_checked(work, partial(report.line, "cache"), argv=argv, hint="", on_start=pids.append)


def hide_mounts(path: str) -> None:
    """Let nothing be seen any more that is mounted below a directory.

    Programs that can stay on one file system leave out the content of subvolumes too, which belongs to the directory.

    Runs in: a helper with a mount namespace of its own.
    """
    mount(path, path, None, MS.BIND)


def _written_by(pids: list[int]) -> int:
    """What a process has written to files so far, in bytes, without what it shares. See: proc(5)."""
    with open(f"/proc/{pids[-1] if pids else 'none'}/io", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def _make_target(path: str) -> None:
    try:
        make_directory(path)
    except OSError as error:
        raise BuildError(f'cannot make "{path}"', why=describe_errno(error.errno or 0)) from None
