"""A barn or a supervisor that is killed, at a place or at any moment: nothing stays, and the name starts again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import Box, Watched, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

MOMENTS = 50
POINTS = (
    "before_fork", "after_network_created", "immediately_after_fork_on_parent", "before_start_wait",
    "teardown_container",
)  # fmt: skip


def starts_again(box: Box) -> None:
    """The next command on the name tells the truth and clears up."""
    box.write()
    box.haconiwa("stop", box.name, expect=None)  # what a start in the background may leave on purpose
    assert box.sh("echo again") == "again\n"
    box.nothing_left()


@pytest.mark.parametrize("options", [(), ("-D",)], ids=["foreground", "daemon"])
@pytest.mark.parametrize("point", POINTS)
def test_supervisor_killed_in_a_hook(box: Box, point: str, options: tuple[str, ...]) -> None:
    box.write(rest=f"config.add_general_hook({point!r}, lambda base: os.kill(os.getpid(), 9))")
    box.haconiwa("start", *options, box.file, "--", "/bin/true", expect=None)
    starts_again(box)


@pytest.mark.parametrize("point", ["after_fork", "before_chroot", "after_chroot"])
def test_first_process_killed_in_a_hook(box: Box, point: str) -> None:
    box.write(rest=f"config.add_general_hook({point!r}, lambda base: os.kill(os.getpid(), 9) or os._exit(9))")
    assert "the container's process died before its program ran" in box.fails("true")
    box.nothing_left()


def test_barn_killed_in_a_hook(box: Box) -> None:
    box.write(rest='config.add_general_hook("setup", lambda barn: os.kill(os.getpid(), 9))')
    box.fails("true", expect=-signal.SIGKILL)
    box.nothing_left()


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["barn", "supervisor"])
def test_killed_at_any_moment(box: Box, victim: str) -> None:
    for moment in range(MOMENTS):
        box.write()
        argv = [box.haconiwa.path, "start", "--quiet", str(box.file), "--", "sleep", "1000"]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=box.haconiwa.environ(),
        ) as process:  # fmt: skip
            barn = Watched(process.pid)
            select.select([barn.fd], [], [], moment * 0.002)
            if victim == "supervisor":
                wait_until(lambda: children(process.pid), "a supervisor")
                os.kill(children(process.pid)[0], signal.SIGKILL)
            else:
                barn.kill()
            assert barn.ended()
            barn.close()
            process.communicate()  # until nobody is left who could write
        starts_again(box)
