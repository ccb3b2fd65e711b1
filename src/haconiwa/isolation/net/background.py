"""A process that does something after its caller has gone on, and whom nobody waits for."""

from __future__ import annotations

import os

from haconiwa.kernel.files import close_range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def in_background(function: Callable[[], None]) -> None:
    """Call a function in a process of its own, which is nobody's child and keeps nothing of the caller open."""
    pid = os.fork()
    if pid == 0:
        _leave(lambda: _again(function))
    os.waitpid(pid, 0)


def _again(function: Callable[[], None]) -> None:
    os.setsid()
    null_fd = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null_fd, number)
    close_range(3)
    if os.fork() == 0:
        _leave(function)


def _leave(function: Callable[[], None]) -> NoReturn:
    try:
        function()
    finally:
        os._exit(0)
