"""Programs connected by pipes, without a shell.

Runs in: a helper, which takes the programs with it when it ends.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

PIPE_SIZE = 1 << 20


def make_pipe() -> tuple[int, int]:
    """A pipe that holds much, where that is allowed."""
    ends = os.pipe()
    with suppress(OSError):  # more than a user may have; it only goes faster
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return ends


def spawn(argv: Sequence[str], environment: Mapping[str, str], stdin_fd: int, output_fd: int) -> int:
    """Start a program that shares this process's working directory and standard error; its pid."""
    actions = [(os.POSIX_SPAWN_DUP2, stdin_fd, 0), (os.POSIX_SPAWN_DUP2, output_fd, 1)]
    reset = [signal.SIGPIPE, signal.SIGALRM]
    return os.posix_spawn(argv[0], [*argv], environment, file_actions=actions, setsigdef=reset)


def wait(pid: int) -> int:
    """The exit status of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def pump(source_fd: int, target_fd: int, see: Callable[[bytes], object]) -> None:
    """Hand on all that comes from a pipe, and show it to somebody on its way; both ends are closed then.

    Args:
        source_fd: Where it comes from.
        target_fd: Where it goes to; -1 for nowhere.
        see: Called with each part.
    """
    while chunk := os.read(source_fd, PIPE_SIZE):
        see(chunk)
        rest = chunk if target_fd >= 0 else b""
        while rest:
            rest = rest[os.write(target_fd, rest) :]
    os.close(source_fd)
    if target_fd >= 0:
        os.close(target_fd)


def run_pipeline(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    output_fd: int,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Run programs, each reading what the one before it writes; the first has this process's standard input.

    Args:
        commands: Absolute paths and arguments.
        environment: Of all of them.
        output_fd: What the last one writes to; it is closed here once that runs.
        meanwhile: Called while they run.

    Returns:
        The first status that is not 0.
    """
    source_fd, pids = os.dup(0), []
    for argv in commands[:-1]:
        next_fd, output_end = make_pipe()
        pids.append(spawn(argv, environment, source_fd, output_end))
        os.close(output_end)
        os.close(source_fd)
        source_fd = next_fd
    pids.append(spawn(commands[-1], environment, source_fd, output_fd))
    os.close(source_fd)
    os.close(output_fd)
    meanwhile()
    statuses = [wait(pid) for pid in pids]
    return next((status & 0xFF for status in statuses if status), 0)
