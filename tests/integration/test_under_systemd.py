"""The unit of ``haconiwa generate systemd`` under a real systemd; tests/e2e/test_systemd.py runs this in a machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until

pytestmark = pytest.mark.requires("root", "busybox", "systemd")

UNITS = Path("/run/systemd/system")
SLOW_S = 60.0
"""How long to wait in a machine that is emulated."""
PROGRAM = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


class Unit:
    """The unit of a box."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.name = f"{box.name}.service"

    def install(self) -> None:
        """What the user does, and the directories of the test's own."""
        (UNITS / self.name).write_text(self._box.haconiwa("generate", "systemd", self._box.file).stdout)
        own = {key: value for key, value in self._box.haconiwa.environ().items() if key.startswith("HACONIWA_")}
        (UNITS / f"{self.name}.d").mkdir(exist_ok=True)
        lines = [f"Environment={key}={value}" for key, value in own.items() if key != "HACONIWA_CGROUP"]
        (UNITS / f"{self.name}.d" / "test.conf").write_text("\n".join(["[Service]", *lines, ""]))
        self("daemon-reload")

    def remove(self) -> None:
        """As if it had never been there."""
        self("stop", self.name)
        (UNITS / f"{self.name}.d" / "test.conf").unlink()
        (UNITS / f"{self.name}.d").rmdir()
        (UNITS / self.name).unlink()
        self("daemon-reload")

    def __call__(self, *words: str, expect: int = 0) -> str:
        """Run systemctl."""
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=90)
        assert done.returncode == expect, (words, done.stdout, done.stderr, self.status())
        return done.stdout

    def status(self) -> str:
        """What an administrator sees."""
        argv = ["systemctl", "status", "--no-pager", "--full", "--lines=30", self.name]
        return subprocess.run(argv, capture_output=True, text=True).stdout

    def __getitem__(self, name: str) -> str:
        """A property."""
        return self("show", "--value", "-p", name, self.name).strip()


@pytest.fixture
def unit(box: Box) -> Iterator[Unit]:
    box.write(f'config.init_command = ["/bin/sh", "-c", {PROGRAM!r}]\nconfig.cgroup["pids.max"] = 50')
    one = Unit(box)
    one.install()
    yield one
    one.remove()


def restarted(box: Box, unit: Unit, before: int) -> bool:
    """Whether it runs again as another process."""
    return unit["NRestarts"] != "0" and unit["ActiveState"] == "active" and box.state()["init"]["pid"] != before


def test_from_start_to_stop(box: Box, unit: Unit) -> None:
    unit("start", unit.name)
    assert (unit["ActiveState"], unit["SubState"]) == ("active", "running")
    assert unit["StatusText"] == "1 of 1 containers run"
    state = box.state()
    assert state["status"] == "running"
    groups = Path(f"/proc/{state['init']['pid']}/cgroup").read_text()
    assert f"{unit['ControlGroup']}/haconiwa/{box.name}\n" in groups
    assert "active (running)" in unit.status()
    assert f"haconiwa/{box.name}" in unit.status() or str(state["init"]["pid"]) in unit.status()
    box.file.write_text(box.file.read_text().replace('["pids.max"] = 50', '["pids.max"] = 60'))
    unit("reload", unit.name)
    assert Path(f"{state['cgroups'][0]}/pids.max").read_text() == "60\n"
    unit("stop", unit.name)
    assert (unit["ActiveState"], unit["Result"]) == ("inactive", "success")
    box.nothing_left()


def test_it_is_up_when_the_container_is_ready(box: Box, unit: Unit) -> None:
    with box.file.open("a") as file:
        file.write('\nconfig.add_readiness_hook(file="/tmp/ready", timeout=60, interval_msec=100)\n')
    unit("start", "--no-block", unit.name)
    wait_until(lambda: box.status() == "running", f"the container does not run: {unit.status()}", SLOW_S)
    assert unit["ActiveState"] == "activating"
    box.attach("touch", "/tmp/ready")
    wait_until(lambda: unit["ActiveState"] == "active", "the unit is not up", SLOW_S)


@pytest.mark.parametrize("victim", ["supervisor", "barn", "init"])
def test_what_is_killed_is_started_again(box: Box, unit: Unit, victim: str) -> None:
    unit("start", unit.name)
    init = box.state()["init"]["pid"]
    pid = int(unit["MainPID"]) if victim == "barn" else box.state()[victim]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: restarted(box, unit, init), "it is not started again", SLOW_S)
    assert unit["NRestarts"] == "1"
    unit("stop", unit.name)
    box.nothing_left()


def test_a_start_that_fails_fails_the_unit(box: Box, unit: Unit) -> None:
    box.file.write_text(
        re.sub(r"(?m)^    config.init_command.*$", '    config.init_command = "/no"', box.file.read_text())
    )
    with (UNITS / f"{unit.name}.d" / "test.conf").open("a") as file:
        file.write("Restart=no\n")
    unit("daemon-reload")
    unit("start", unit.name, expect=1)
    assert (unit["ActiveState"], unit["Result"], unit["ExecMainStatus"]) == ("failed", "exit-code", "127")
    unit("reset-failed", unit.name)
    box.nothing_left()
