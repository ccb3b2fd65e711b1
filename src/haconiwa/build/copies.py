"""Copies of whole root file systems, by the machine's own cp.

Where the file system can share blocks (btrfs, XFS), a copy shares them all and takes no room.
"""

from __future__ import annotations

from collections.abc import Callable

from haconiwa.host.programs import execute_program, find_program, program_environment, run_checked


def copy_tree(
    source: str, target: str, on_line: Callable[[str], object], prepare: Callable[[], object] = lambda: None
) -> None:
    """Copy a directory with owners, times, attributes, hard links and holes.

    Args:
        source: Absolute host path.
        target: Absolute host path; nothing is there.
        on_line: Is told what cp has to say.
        prepare: Called first by the helper, which has a mount namespace of its own.

    Raises:
        BuildError: It failed, as when the disk is full.
        HostError: There is no cp.
    """
    options = ("--archive", "--reflink=auto", "--sparse=auto", "--one-file-system", "--no-target-directory")
    argv = (find_program("cp"), *options, source, target)
    environment = program_environment()

    def work() -> int:
        prepare()
        execute_program(argv, environment)

    run_checked(work, on_line, argv=argv, hint="")
