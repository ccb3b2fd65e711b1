"""SIGKILL at the system calls of a start: the host is as before once the next command on that name has run."""

from __future__ import annotations

import datetime

import pytest

from tests.integration.box import Box
from tests.integration.faults.aim import BARN, CALLER, SUPERVISOR, Aim
from tests.support.leftovers import OwnDirs, end_processes

pytestmark = [pytest.mark.requires("root", "busybox", "strace"), pytest.mark.slow]

STEP = 4
"""A run takes every fourth call, tomorrow's the next ones; the marker ``soak`` is for all of them."""

SETTINGS = """\
config.cgroup["memory.max"] = "64M"
config.cgroup["pids.max"] = 20
config.add_async_hook(msec=1, interval_msec=1)(print)
config.add_general_hook("before_fork", print)
config.add_general_hook("teardown_container", print)
"""


def walk(box: Box, victim: str, *, daemon: bool, first: int = 0, step: int = 1) -> tuple[int, int]:
    """Kill at each of these calls; how many calls there are, and at how many of them it got there and was killed."""
    aim = Aim(box, victim, daemon=daemon, settings=SETTINGS)
    calls = aim.calls()
    killed = 0
    for call in calls[first::step]:
        killed += aim.shoot(call)
        box.write()
        assert box.run("/bin/echo", "again", expect=None).stdout == "again\n", f"{call} of the {victim}"
        box.nothing_left()
        assert end_processes(OwnDirs([str(box.folder)])) == [], f"{call} of the {victim}"
    return len(calls), killed


def today(step: int) -> int:
    """The first call of today's walk."""
    return datetime.datetime.now(tz=datetime.UTC).toordinal() % step


@pytest.mark.timeout(300)
@pytest.mark.parametrize("daemon", [False, True], ids=["foreground", "daemon"])
def test_a_sample_of_the_supervisors_calls(box: Box, daemon: bool) -> None:
    calls, killed = walk(box, SUPERVISOR, daemon=daemon, first=today(STEP), step=STEP)
    assert killed > calls / STEP / 2


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("victim", "daemon"),
    [(SUPERVISOR, False), (SUPERVISOR, True), (BARN, True), (CALLER, False), (CALLER, True)],
    ids=["supervisor-foreground", "supervisor-daemon", "barn-daemon", "barn-foreground", "caller-daemon"],
)
def test_every_call(box: Box, victim: str, daemon: bool) -> None:
    calls, killed = walk(box, victim, daemon=daemon)
    print(f"killed the {victim} at {killed} of {calls} calls")
    assert killed > calls / 2
