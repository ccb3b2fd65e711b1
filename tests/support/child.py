"""Running a function in a forked child, so that what it does to its process and its namespaces ends with it."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from haconiwa.kernel.mount import MS, mount
from haconiwa.kernel.namespaces import CLONE, unshare
from haconiwa.kernel.process import set_pdeathsig

DEADLINE_S = 20.0


class ChildError(AssertionError):
    """What the function raised in the child, with its traceback as text."""


def in_child(function: Callable[[], object], *, unshared: int = 0) -> str:
    """Run a function in a child and wait for it.

    Args:
        function: Uses asserts; an exception in it fails the test.
        unshared: `CLONE` flags of the namespaces that the child makes for itself; a mount namespace is private. With
            NEWPID the function runs as pid 1 of the new namespace.

    Returns:
        What the function returned, as text.

    Raises:
        ChildError: It raised, or was ended by a signal.
        TimeoutError: It did not end.
    """
    read_fd, write_fd = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        _run(function, unshared, write_fd)
    os.close(write_fd)
    try:
        answer = _read_until_end(read_fd)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(read_fd)
        _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise ChildError(f"status {os.waitstatus_to_exitcode(status)}\n{answer}")
    return answer


def _run(function: Callable[[], object], unshared: int, write_fd: int) -> NoReturn:
    """The child: never returns into the test run."""
    status = 1
    try:
        unshare(unshared)
        if unshared & CLONE.NEWNS:
            mount(None, "/", None, MS.REC | MS.PRIVATE)
        if unshared & CLONE.NEWPID and (pid := os.fork()):
            os._exit(min(abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), 255))
        set_pdeathsig(signal.SIGKILL)  # the deadline ends pid 1 too
        os.write(write_fd, str(function()).encode())
        status = 0
    except BaseException:  # whatever it is, it belongs to the test in the parent
        os.write(write_fd, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        os._exit(status)


def _read_until_end(fd: int) -> str:
    """All of a pipe; its end is the end of every process that holds it."""
    deadline = time.monotonic() + DEADLINE_S
    chunks: list[bytes] = []
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(fd, 65536)
        if not chunk:
            return b"".join(chunks).decode()
        chunks.append(chunk)
    raise TimeoutError(f"the child has not ended after {DEADLINE_S} s: {b''.join(chunks)!r}")
