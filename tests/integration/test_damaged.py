"""Containers that run while their record cannot be read: seen, kept their root, and stopped."""

from __future__ import annotations

import json

import pytest

from haconiwa.host.cgroups import hierarchies
from tests.integration.box import Box, Watched

pytestmark = pytest.mark.requires("root", "busybox")

_TEARDOWN = """
@config.add_general_hook("teardown_container")
def ended(base):
    open({path!r}, "a").write("ended\\n")
"""


@pytest.fixture
def damaged(box: Box) -> Box:
    """A container in the background whose record was cut off."""
    box.write(rest=_TEARDOWN.format(path=str(box.folder / "ended")))
    box.daemon()
    (box.run_dir / "state.json").write_text("{")
    return box


def kill_supervisor(box: Box) -> None:
    """Kill the supervisor, whose pid is in the container's pid file."""
    supervisor = Watched(int(box.pid_file.read_text()))
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    box.pid_file.unlink()


def test_it_is_listed_with_the_reason(damaged: Box) -> None:
    result = damaged.haconiwa("ps", "--json")
    row = next(row for row in json.loads(result.stdout) if row["name"] == damaged.name)
    assert set(row) == {"name", "pid", "supervisor_pid", "status", "created_at", "command", "root", "metadata"}
    assert row["status"] == "damaged"
    assert f'cannot read "{damaged.run_dir}/state.json"' in result.stderr
    assert damaged.name in damaged.haconiwa("ps", "-q").stdout.split()
    assert [line.split() for line in damaged.haconiwa("ps").stdout.splitlines() if "damaged" in line] == [
        [damaged.name, "-", "-", "damaged", "-", "-", "-"]
    ]


def test_what_cannot_be_done_says_what_can(damaged: Box) -> None:
    for command in ("attach", "kill", "inspect"):
        result = damaged.haconiwa(command, damaged.name, expect=125)
        assert f'error: {damaged.name}: cannot read "{damaged.run_dir}/state.json"' in result.stderr
        assert f"hint: haconiwa stop {damaged.name} ends what runs" in result.stderr


def test_any_root_may_be_in_use(damaged: Box) -> None:
    file, root = damaged.folder / "other.haco", damaged.folder / "other"
    bootstrap = 'config.bootstrap.strategy = "shell"\nconfig.bootstrap.code = "touch made"\n'
    text = f"from haconiwa import define\nconfig = define()\nconfig.chroot_to({str(root)!r})\n{bootstrap}"
    file.write_text(text)
    damaged.haconiwa("create", file)
    for command in (("rm",), ("create", "--force")):
        stderr = damaged.haconiwa(*command, file, expect=125).stderr
        assert f'the container "{damaged.name}" may run in it' in stderr
        assert (root / "made").exists()
    damaged.stop()
    damaged.haconiwa("rm", file)
    assert not root.exists()


def test_stop_ends_it_with_its_hooks(damaged: Box) -> None:
    damaged.stop()
    assert (damaged.folder / "ended").read_text() == "ended\n"
    damaged.nothing_left()


@pytest.mark.skipif(not hierarchies(), reason="only a group leads to its processes")
def test_without_its_supervisor_it_is_not_forgotten(damaged: Box) -> None:
    kill_supervisor(damaged)
    assert damaged.name not in damaged.haconiwa("gc", "--dry-run").stdout
    assert f"{damaged.name}: runs without a supervisor" in damaged.haconiwa("gc", "--dry-run").stderr
    assert f'cannot read "{damaged.run_dir}/state.json"' in damaged.fails("true")
    assert damaged.status() == "damaged"
    damaged.stop()
    damaged.nothing_left()
    assert damaged.run("echo", "again").stdout == "again\n"
