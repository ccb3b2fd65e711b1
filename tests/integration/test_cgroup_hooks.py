"""Functions called for events of a container's control groups, on whatever layout the machine has."""

from __future__ import annotations

import pytest

from tests.integration.box import Box
from tests.integration.test_cgroups import layout, needs

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.setting("add_cgroup_hook")]

FILLS_MEMORY = "(echo 1000 >/proc/self/oom_score_adj; exec tail -c 200000000 </dev/zero >/dev/null)"
"""In a process that the kernel ends before the shell."""


def test_memory_used_up(box: Box) -> None:
    needs("memory")
    box.write(
        'config.cgroup["memory.max"] = "24M"\nconfig.cgroup["memory.swap.max"] = 0',
        """
        config.add_cgroup_hook(lambda base: print("oom while", base.status), type="oom")
        config.add_cgroup_hook(lambda base: print("never"), type="pids_max")
        """,
    )
    done = box.run("/bin/sh", "-c", f"{FILLS_MEMORY}; echo survived")
    assert done.stdout == "survived\n"
    assert "oom while running" in done.stderr
    assert "never" not in done.stderr
    assert box.events("oom")[0]["count"] >= 1


def test_the_event_that_ends_the_container_is_not_lost(box: Box) -> None:
    needs("memory")
    box.write(
        'config.cgroup["memory.max"] = "24M"\nconfig.cgroup["memory.swap.max"] = 0',
        'config.add_cgroup_hook(lambda base: print("oom"), type="oom")',
    )
    for _ in range(2):
        said = box.run("/bin/sh", "-c", "exec tail -c 200000000 </dev/zero", expect=137).stderr
        assert "oom\n" in said
    box.write(
        'config.cgroup["memory.max"] = "24M"\nconfig.cgroup["memory.swap.max"] = 0',
        """
        config.add_cgroup_hook(lambda base: print("oom"), type="oom")
        config.restart_policy("on-failure", max_retries=1, backoff_sec=0)
        """,
    )
    said = box.run("/bin/sh", "-c", "exec tail -c 200000000 </dev/zero", expect=137).stderr
    assert said.count("oom\n") >= 2
    assert [event["reason"] for event in box.events("exited")] == ["oom"] * 4


def test_no_more_processes(box: Box) -> None:
    needs("pids")
    box.write(
        'config.cgroup["pids.max"] = 4',
        """
        calls = []
        @config.add_cgroup_hook(type="pids_max", timeout_sec=10)
        def full(base):
            calls.append(base.cgroup["pids.current"])
            base.kill("USR1")
        config.add_general_hook("teardown_container", lambda base: print("called:", len(calls) > 0))
        """,
    )
    said = box.run("/bin/sh", "-c", "trap 'exit 7' USR1; for i in 1 2 3 4 5; do sleep 1000 & done; wait", expect=None)
    assert "called: True" in said.stderr
    assert box.events("pids_max")


def test_no_more_processes_is_told_while_it_runs(box: Box) -> None:
    needs("pids")
    box.write(
        'config.cgroup["pids.max"] = 3',
        'config.add_cgroup_hook(lambda base: base.kill("KILL"), type="pids_max")',
    )
    box.run("/bin/sh", "-c", "(sleep 1000 & sleep 1000 & sleep 1000); exec sleep 1000", expect=137)


def test_pressure(box: Box) -> None:
    needs("memory")
    limits = 'config.cgroup["memory.max"] = "48M"\nconfig.cgroup["memory.swap.max"] = 0'
    if layout("memory") == 2:
        limits += '\nconfig.cgroup["memory.high"] = "8M"'
    box.write(
        limits,
        """
        @config.add_cgroup_hook(type="memory_pressure", level="low")
        def pressed(base):
            print("pressed")
            base.kill("KILL")
        """,
    )
    # pages of files that can be given back again and again (v1), or more than may be used at ease (v2)
    fill = "head -c 60000000 /dev/zero >/root/f; head -c 20000000 /dev/zero | tail -c 20000000 >/dev/null"
    script = f"while :; do {fill}; done"
    assert "pressed" in box.run("/bin/sh", "-c", script, expect=137).stderr
    assert box.events("memory_pressure")[0]["level"] == "low"
    assert box.haconiwa("plan", box.file).stdout.count("for memory_pressure of level low") == 1
