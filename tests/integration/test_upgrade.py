"""An upgrade under running supervisors: they go on with the code that they began with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until
from tests.support.program import TREE

pytestmark = pytest.mark.requires("root", "busybox")

RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from haconiwa.cli.main import main; main()"
MANY = 150
"""Modules of ours; a start loads a hundred."""
BROKEN = 'raise ImportError("this is another version")\n'

HOOKS = """\
import sys

def known():
    return {name for name in sys.modules if not name.startswith("haconiwa")}

before = set()

@config.add_general_hook("before_start_wait")
def started(base):
    print("STARTED", flush=True)
    if not before:
        before.update(known())

@config.add_signal_handler("USR1")
def handler(base):
    print("HANDLER", base.attach(["/bin/echo", "inside"]).stdout.strip(), base.cgroup["pids.max"], flush=True)

@config.add_async_hook(msec=100, interval_msec=100)
def timer(base):
    modules = len([name for name in sys.modules if name.startswith("haconiwa")])
    print(f"TIMER {modules} modules", flush=True)

@config.add_general_hook("after_reload")
def reloaded(base):
    print("RELOADED", base.cgroup["pids.max"], flush=True)

@config.add_general_hook("teardown_container")
def ended(base):
    print("LATER", sorted(known() - before), flush=True)

@config.healthcheck(interval_sec=1)
def look(base):
    print("HEALTH", flush=True)
    return True

config.restart_policy("on-failure", backoff_sec=0)
config.cgroup["pids.max"] = 50
"""


class Installation:
    """A copy of the program that can be replaced by another version."""

    def __init__(self, box: Box, folder: Path) -> None:
        self._box = box
        self._source = folder / "src"
        shutil.copytree(f"{TREE}/src", self._source, ignore=shutil.ignore_patterns("__pycache__"))

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-I", "-S", "-c", RUN, str(self._source), *args]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=self._box.haconiwa.environ())
        assert ran.returncode == 0, ran.stderr
        return ran

    def replace(self, *, remove: bool) -> None:
        """What a package manager does: every file becomes another one, or none."""
        for path in [*self._source.rglob("*.py"), *self._source.rglob("*.pyc"), *self._source.rglob("*.image")]:
            path.unlink()
            if path.suffix == ".py" and not remove:
                path.write_text(BROKEN)


@pytest.fixture
def installation(box: Box, tmp_path: Path) -> Installation:
    box.write(rest=HOOKS)
    return Installation(box, tmp_path)


def said(box: Box, words: str) -> int:
    """How often the supervisor or a hook has printed this."""
    return _log(box).count(words)


def _log(box: Box) -> str:
    path = Path(box.haconiwa.environ()["HACONIWA_LOG_DIR"], f"{box.name}.supervisor.log")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("image", [True, False], ids=["image", "no-image"])
@pytest.mark.parametrize("remove", [False, True], ids=["replaced", "removed"])
def test_a_supervisor_never_loads_what_came_after_it(
    box: Box, installation: Installation, remove: bool, image: bool
) -> None:
    if image:
        installation("start", str(box.file), "--", "/bin/true")  # writes it
    installation("start", "-D", str(box.file), "--", "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    if not image:
        wait_until(lambda: max(loaded(box), default=0) > MANY, "it does not load the rest")
        wait_until(lambda: len(set(loaded(box)[-5:])) == 1, "it goes on loading")
    installation.replace(remove=remove)
    supervisor = box.state()["supervisor"]["pid"]
    use(box, supervisor)
    box.haconiwa("stop", box.name)
    box.nothing_left()
    assert not said(box, "error: ")
    later = re.findall(r"LATER (.*)", _log(box))
    assert len(later) == 2
    assert not image or set(later) <= {"[]", "['resource']"}  # a library of Python's own, for the limits in a reload


def loaded(box: Box) -> list[int]:
    """How many of our modules the supervisor had, each time it told."""
    return [int(number) for number in re.findall(r"TIMER (\d+) modules", _log(box))]


def use(box: Box, supervisor: int) -> None:
    """All that a supervisor does while its container runs."""
    os.kill(supervisor, signal.SIGUSR1)
    wait_until(lambda: said(box, "HANDLER inside 50"), "the handler was not called")
    wait_until(lambda: said(box, "TIMER") and said(box, "HEALTH"), "no timer or health check was called")
    box.file.write_text(box.file.read_text(encoding="utf-8").replace('["pids.max"] = 50', '["pids.max"] = 60'))
    box.haconiwa("reload", box.name)
    wait_until(lambda: said(box, "RELOADED 60"), "it was not reloaded")
    box.file.write_text(box.file.read_text(encoding="utf-8").replace('["pids.max"] = 60', '["pids.max"] = 70'))
    os.kill(supervisor, signal.SIGHUP)
    wait_until(lambda: said(box, "RELOADED 70"), "it did not load the file again")
    os.kill(box.state()["init"]["pid"], signal.SIGKILL)
    wait_until(lambda: said(box, "STARTED") == 2, "it was not started again")
