"""Other settings of control groups for running containers, on whatever layout the machine has."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until
from tests.integration.test_cgroups import file_of, has, needs
from tests.integration.test_reload import RECORD, hear

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.layouts]


def memory(box: Box) -> str:
    return file_of(box, "memory.max", "memory.limit_in_bytes")


def test_groups_get_what_the_file_says_now(box: Box) -> None:
    needs("memory", "pids")
    box.write('config.cgroup["memory.max"] = "64M"\nconfig.cgroup["pids.max"] = 20', RECORD)
    state = box.daemon("exec sleep 1000")
    assert memory(box) == str(64 << 20)
    box.write('config.cgroup["memory.max"] = "32M"')
    done = box.haconiwa("reload", box.name)
    assert done.stdout.splitlines() == [
        f'{box.name}: cgroup["memory.max"]: 67108864 -> 33554432',
        f'{box.name}: cgroup["pids.max"]: 20 -> not set',
    ]
    assert memory(box) == str(32 << 20)
    assert file_of(box, "pids.max", "pids.max") == "max"
    assert "no limit has changed" in box.haconiwa("reload", box.name).stderr
    box.write('config.cgroup["memory.max"] = "48M"\nconfig.cgroup["memory.swap.max"] = "16M"')
    assert hear(box, "reloaded", lambda: os.kill(state["supervisor"]["pid"], signal.SIGHUP))["changes"]
    assert memory(box) == str(48 << 20)
    assert int(file_of(box, "memory.swap.max", "memory.memsw.limit_in_bytes")) in (16 << 20, 64 << 20)
    log = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}.supervisor.log"
    wait_until(lambda: log.read_text(encoding="utf-8").count("reloaded as running") == 3, "the hook")
    box.stop()


def test_all_or_nothing(box: Box) -> None:
    needs("memory", "pids")
    box.write('config.cgroup["memory.max"] = "64M"\nconfig.cgroup["pids.max"] = 20')
    box.daemon("exec sleep 1000")
    for settings, said in (
        ('config.resource.set_limit("NOFILE", 1 << 40)', "cannot set the limits NOFILE"),
        ('config.cgroup["cpuset.cpus"] = 4000' if has("cpuset") else 'config.cgroup_name = "x"', "cgroup"),
        ('config.cgroup_name = "another"', "its name, its rules for devices, or assign_only have changed"),
        ('config.cgroup["no.such"] = "1"', "no.such"),
    ):
        box.write(f'config.cgroup["memory.max"] = "32M"\nconfig.cgroup["pids.max"] = 21\n{settings}')
        assert said in box.haconiwa("reload", box.name, expect=2 if "no.such" in said else 125).stderr
        assert (memory(box), file_of(box, "pids.max", "pids.max")) == (str(64 << 20), "20")
    box.stop()


@pytest.mark.setting("support_reload")
def test_what_support_reload_does_not_name(box: Box) -> None:
    needs("memory")
    box.write('config.cgroup["memory.max"] = "64M"\nconfig.support_reload("resource")')
    box.daemon("exec sleep 1000")
    box.write('config.cgroup["memory.max"] = "32M"')
    refused = box.haconiwa("reload", box.name, expect=125).stderr
    assert "cannot change cgroup by a reload: its support_reload allows resource" in refused
    assert memory(box) == str(64 << 20)
    box.stop()


@pytest.mark.parametrize("point", ["before_fork", "immediately_after_fork_on_parent", "before_start_wait"])
def test_sighup_during_the_start_of_a_daemon(box: Box, point: str) -> None:
    needs("memory")
    box.write(
        f'config.cgroup["memory.max"] = open({str(box.folder / "limit")!r}).read()',
        f"""
        import signal
        @config.add_general_hook({point!r})
        def again(base):
            open({str(box.folder / "limit")!r}, "w").write("32M")
            os.kill(os.getpid(), signal.SIGHUP)
        @config.add_readiness_hook
        def reloaded(base, ok):
            return base.cgroup["memory.max"] == str(32 << 20)
        """,
    )
    (box.folder / "limit").write_text("64M")
    box.haconiwa("start", "-D", "--wait-ready", box.file, "--", "sleep", "1000")
    assert memory(box) == str(32 << 20)
    box.stop()
