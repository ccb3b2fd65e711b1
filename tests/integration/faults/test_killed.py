"""A barn or a supervisor that is killed, at a place or at any moment: nothing stays, and the name starts again."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import Box, Watched

pytestmark = pytest.mark.requires("root", "busybox")

MOMENTS = 100
"""In the foreground and as many in the background, so 200 for each process."""
POINTS = (
    "before_fork", "after_network_created", "immediately_after_fork_on_parent", "before_start_wait",
    "teardown_container",
)  # fmt: skip


def starts_again(box: Box) -> None:
    """The next command on the name tells the truth and clears up."""
    box.write()
    box.haconiwa("stop", "-T", "0", box.name, expect=None)  # what a start in the background may leave on purpose
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
    starts_again(box)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendant(process: Watched, generation: int) -> int:
    """A child of a process, or a child of that; 0 when the process has ended before there was one."""
    found = process.pid
    for _ in range(generation):
        parent, found = found, 0
        while not found and not process.ended(0):
            found = next(iter(children(parent)), 0)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [(), ("-D",)], ids=["foreground", "daemon"])
@pytest.mark.parametrize("victim", ["barn", "supervisor"])
def test_killed_at_any_moment(box: Box, victim: str, options: tuple[str, ...]) -> None:
    generation = len(options) + (victim == "supervisor")
    length_s = 0.06 if generation == 0 else 0.03  # of a start, from the beginning of that process on
    argv = [box.haconiwa.path, "start", *options, "--quiet", str(box.file), "--", "sleep", "1000"]
    for moment in range(MOMENTS):
        box.write()
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=box.haconiwa.environ(),
        ) as process:  # fmt: skip
            caller = Watched(process.pid)
            if pid := descendant(caller, generation):
                watched = Watched(pid)
                select.select([watched.fd], [], [], length_s * moment / MOMENTS)
                watched.kill()
                assert watched.ended()
                watched.close()
            assert caller.ended()
            caller.close()
            process.communicate()  # until nobody is left who could write
        starts_again(box)
