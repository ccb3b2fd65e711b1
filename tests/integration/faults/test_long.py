"""What a month does to a machine: starts in a row, and supervisors that start their container again and again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until
from tests.support.leftovers import mount_points

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.slow, pytest.mark.timeout(600)]

SLABS = ("mem_cgroup", "mnt_cache", "mqueue_inode_cache", "net_namespace", "nsproxy", "pid_namespace", "task_struct")
NAMESPACES = ("mount", "ipc", "uts", "pid", "net")


def held() -> dict[str, int]:
    """How many there are of what a container is made of, in the whole kernel."""
    rows = [line.split() for line in Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()]
    counts = {words[0]: int(words[1]) for words in rows if words[0] in SLABS}
    for line in Path("/proc/cgroups").read_text(encoding="ascii").splitlines()[1:]:
        name, _hierarchy, groups, _enabled = line.split()
        counts[f"groups of {name}"] = int(groups)
    return counts


@pytest.mark.parametrize("times", [500, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_starts_in_a_row_leave_nothing_in_the_kernel(box: Box, times: int) -> None:
    box.write('config.cgroup["pids.max"] = 20\nconfig.cgroup["memory.max"] = "64M"', namespaces=NAMESPACES)
    box.sh("true")
    before = held()
    for _ in range(times):
        box.run("/bin/true")
    kept: dict[str, int] = {}

    def is_flat() -> bool:
        """A leak would be one for each start; others are at work on the machine, and the kernel takes its time."""
        kept.update({name: count - before[name] for name, count in held().items()})
        return max(kept.values()) < times / 2

    wait_until(is_flat, f"they stay: {kept}")
    print(f"{times} starts; what there is more of: {kept}")
    assert not [point for point in mount_points() if "(deleted)" in point or str(box.root) in point]
    box.nothing_left()


AGAIN = """\
import itertools, os, re
runs = itertools.count(1)
config.restart_policy("always", backoff_sec=0)

@config.add_general_hook("before_start_wait")
def started(base):
    run = next(runs)
    if run % 100 == 0:
        status = open("/proc/self/status").read()
        fds = len(os.listdir("/proc/self/fd"))
        print("RUN", run, re.search(r"VmRSS:\\s+(\\d+)", status)[1], fds, flush=True)
    if run == TIMES:
        base.stop()
"""


@pytest.mark.parametrize("times", [1000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_a_container_that_is_started_again_and_again(box: Box, times: int) -> None:
    box.write('config.cgroup["pids.max"] = 20', rest=AGAIN.replace("TIMES", str(times)))
    said = box.run("/bin/true", expect=None, timeout_s=100 + times / 10).stderr
    rows = [tuple(int(word) for word in row) for row in re.findall(r"RUN (\d+) (\d+) (\d+)", said)]
    assert [run for run, _rss_kb, _fds in rows] == list(range(100, times + 1, 100))
    print(f"after {rows[0][0]} runs {rows[0][1]} kB and {rows[0][2]} files, after {times} {rows[-1][1:]}")
    assert len({fds for _run, _rss_kb, fds in rows}) == 1
    assert rows[-1][1] - rows[0][1] < 1024  # kB: less than one for each run
    box.nothing_left()
