"""Too much of something: processes that nobody waits for, timers, and clocks that jump."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

ORPHANS = 1000


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


def test_a_thousand_zombies_inside_are_none_of_ours(box: Box) -> None:
    """The first process never waits for anybody; the supervisor waits for each of its own, also those of a hook."""
    box.write(
        rest="""
        @config.add_async_hook(msec=1, interval_msec=10)
        def look(base):
            base.attach(["/bin/true"])
        """
    )
    fork = "(cat /tmp/never > /dev/null & exit) &"
    script = f"mkfifo /tmp/never; i=0; while [ $i -lt {ORPHANS} ]; do {fork} i=$((i + 1)); done; exec sleep 1000"
    with box.background(script):
        wait_until(lambda: box.status() == "running", "it does not run")
        state = box.state()
        wait_until(lambda: orphans(state["init"]["pid"], "S") == ORPHANS, "they are not there yet")
        box.attach("killall", "-KILL", "cat")
        wait_until(lambda: orphans(state["init"]["pid"], "Z") >= ORPHANS, "they are waited for after all")
        wait_until(lambda: children(state["supervisor"]["pid"]) == [str(state["init"]["pid"])], "it has zombies")
        box.haconiwa("stop", "-T", "0", box.name)
    box.nothing_left()


def orphans(pid: int, state: str) -> int:
    """How many children in that state a process has that sleeps."""
    if Path(f"/proc/{pid}/cmdline").read_bytes() != b"sleep\x001000\0":
        return 0
    return [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children(pid)].count(
        state
    )


STORM = """\
import collections, os, re, sys
counts = collections.Counter()
depths = set()

def rss_kb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])

def depth():
    frame, found = sys._getframe(), 0
    while frame:
        frame, found = frame.f_back, found + 1
    return found

def add(number):
    @config.add_async_hook(msec=1, interval_msec=1)
    def tick(base):
        counts[number] += 1
        total = sum(counts.values())
        if total % 5000 == 0:
            depths.add(depth())
            print("CALLS", total, rss_kb(), min(counts.values()), max(counts.values()), len(depths), flush=True)
        if total == CALLS:
            base.kill("KILL")

for number in range(100):
    add(number)
"""


@pytest.mark.slow
@pytest.mark.parametrize("calls", [50_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_a_hundred_timers_of_a_millisecond(box: Box, calls: int) -> None:
    """More calls are due than anybody could make: they are missed, take their turns, and need no memory."""
    box.write(rest=STORM.replace("CALLS:", f"{calls}:"))
    said = box.run("/bin/sleep", "1000", expect=None, timeout_s=800).stderr
    rows = [[int(word) for word in row.split()] for row in re.findall(r"CALLS (.*)", said)]
    assert [total for total, *_ in rows] == list(range(5000, calls + 1, 5000))
    print(f"after {rows[0][0]} calls {rows[0][1]} kB, after {calls} {rows[-1][1:]}")
    for _total, _rss_kb, fewest, most, depths in rows:
        assert most < 2 * fewest
        assert depths == 1
    assert rows[-1][1] - rows[0][1] < 1024  # kB


CLOCK = """\
import time
began = time.monotonic()

@config.add_async_hook(msec=100, interval_msec=100)
def tick(base):
    print("TICK", time.time(), time.monotonic() - began, flush=True)
"""


@pytest.mark.slow
@pytest.mark.requires("faketime")
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_timers_do_not_follow_a_clock_that_is_set(box: Box, jump: str) -> None:
    """The library gives the supervisor a clock that the test can set."""
    box.write(rest=CLOCK)
    clock = box.folder / "clock"
    clock.write_text("+0\n")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    environ = {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    box.haconiwa("start", "-D", box.file, "--", "/bin/sleep", "1000", environ=environ)
    wait_until(lambda: len(ticks(box)) > 5, "no timer is called")
    before = len(ticks(box))
    clock.write_text(f"{jump}\n")
    wait_until(lambda: len(ticks(box)) > before + 10, "no timer is called after the jump")
    box.haconiwa("stop", "-T", "0", box.name)
    seen = ticks(box)
    assert abs(seen[-1][0] - seen[0][0]) > 80_000  # s: it was there
    assert len(seen) <= seen[-1][1] / 0.1 + 1  # and brought no calls that nobody has waited for


def ticks(box: Box) -> list[tuple[float, float]]:
    """Of each call, the clock and the seconds since the start."""
    path = Path(os.environ["HACONIWA_LOG_DIR"], f"{box.name}.supervisor.log")
    rows = re.findall(r"TICK (\S+) (\S+)\n", path.read_text(encoding="utf-8"))
    return [(float(clock), float(since)) for clock, since in rows]
