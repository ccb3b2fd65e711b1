"""Interrupting and killing a program of ours at any moment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

INTERRUPTED = 2
KILLED = -signal.SIGKILL


class At:
    """Does something at the Nth thing that Python reports to audit hooks: opens, renames, makes, removes …

    Only in the process that made it, not in those that it forks.
    """

    def __init__(self, number: int, action: Callable[[], None]) -> None:
        self.left = number
        self.action = action
        self.pid = os.getpid()

    def __call__(self, event: str, _arguments: object) -> None:
        if event == "open" or event.startswith(("os.", "shutil.")):
            self.left -= 1
            if self.left == 0 and os.getpid() == self.pid:
                self.action()


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(work: Callable[[], object]) -> int:
    """Run something in a forked child; its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_moments(work: Callable[[], object]) -> int:
    """How many things `At` would count while something runs."""
    told, tell = os.pipe()

    def counted() -> None:
        hook = At(0, lambda: None)
        sys.addaudithook(hook)
        work()
        os.write(tell, str(-hook.left).encode())

    assert in_a_child(counted) == 0
    os.close(tell)
    with open(told, encoding="ascii") as answer:
        return int(answer.read())


def cut(work: Callable[[], object], number: int, action: Callable[[], None]) -> int:
    """Run something in a child and cut it at the Nth moment; its wait status."""

    def cutting() -> None:
        sys.addaudithook(At(number, action))
        work()

    return in_a_child(cutting)
