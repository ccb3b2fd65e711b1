"""``haconiwa gc``: what killed supervisors left goes, what lives stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from haconiwa.host.cgroups import hierarchies
from tests.conftest import RunDirs
from tests.integration.box import Box, Watched
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")


def orphaned(box: Box) -> None:
    """Kill the supervisor of a daemon container; the container lives on."""
    box.daemon()
    supervisor = Watched(box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()


def end(box: Box) -> None:
    """Kill an orphan behind the back of everybody."""
    init = Watched(box.state()["init"]["pid"])
    init.kill(signal.SIGKILL)
    assert init.ended()
    init.close()


def found(haconiwa: Program, box: Box, *options: str) -> list[tuple[str, str]]:
    """What of a box is found or removed: others may be at work on this machine, too."""
    every = json.loads(haconiwa("gc", "--json", *options).stdout)
    return [(each["kind"], each["name"]) for each in every if box.name in each["name"]]


def test_what_runs_is_left_alone(haconiwa: Program, box: Box) -> None:
    box.daemon()
    assert found(haconiwa, box) == []
    assert box.status() == "running"
    box.stop()
    assert found(haconiwa, box) == []


def test_an_orphan_is_left_alone_and_then_cleared_away(haconiwa: Program, box: Box) -> None:
    orphaned(box)
    hint = f"{box.name}: runs without a supervisor and is left alone: haconiwa start --adopt or stop {box.name}"
    assert hint in haconiwa("gc").stderr
    assert box.status() == "orphaned"
    groups = box.groups()
    assert groups
    end(box)
    assert f"Would remove container {box.name}\n" in haconiwa("gc", "--dry-run").stdout
    assert box.run_dir.exists()
    assert f"Removed container {box.name}\n" in haconiwa("gc").stdout
    assert not [path for path in map(str, (*groups, box.pid_file, box.run_dir)) if os.path.exists(path)]
    box.nothing_left()


def test_a_damaged_record_goes_and_its_empty_groups_too(haconiwa: Program, box: Box) -> None:
    orphaned(box)
    groups = box.groups()
    end(box)
    (box.run_dir / "state.json").write_text("{")
    for path in (str(box.run_dir), *groups):
        os.utime(path, (0, 0))
    assert sorted(found(haconiwa, box)) == [*(("cgroup", path) for path in sorted(groups)), ("container", box.name)]
    box.pid_file.unlink()
    box.nothing_left()


def test_a_folder_that_is_just_being_made_is_left_alone(haconiwa: Program, box: Box) -> None:
    box.run_dir.mkdir(parents=True, mode=0o700)
    assert found(haconiwa, box) == []
    os.utime(box.run_dir, (0, 0))
    assert found(haconiwa, box) == [("container", box.name)]
    assert not box.run_dir.exists()


def test_a_group_with_a_process_stays(haconiwa: Program, box: Box) -> None:
    path = hierarchies()[-1].group(f"{box.name}-gc")
    os.makedirs(path)
    try:
        assert found(haconiwa, box) == []  # somebody may just be making it
        os.utime(path, (0, 0))
        assert found(haconiwa, box, "--dry-run") == [("cgroup", path)]
        process = subprocess.Popen(["sleep", "1000"])
        Path(path, "cgroup.procs").write_text(str(process.pid), encoding="ascii")
        assert found(haconiwa, box) == []
        process.kill()
        process.wait()
        assert found(haconiwa, box) == [("cgroup", path)]
        assert not os.path.exists(path)
    finally:
        if os.path.isdir(path):
            os.rmdir(path)


def test_an_ephemeral_layer_goes_with_the_record(haconiwa: Program, box: Box) -> None:
    box.write(command=("/bin/sh", "-c", "touch /x; echo ready; exec sleep 1000"))
    haconiwa("start", "-D", "--ephemeral", box.file)
    supervisor = Watched(box.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    end(box)
    layer = f"{box.root.parent}/.{box.root.name}.layers/thrown/{box.name}"
    assert f"Removed layer {layer}\nRemoved container {box.name}\n" in haconiwa("gc").stdout
    assert not os.path.exists(layer)


def test_caches_go_only_when_told(haconiwa: Program, box: Box, run_dirs: RunDirs) -> None:
    box.run("/bin/true")
    cache = os.path.join(haconiwa.environ()["HACONIWA_CACHE_DIR"], "seccomp")
    assert os.path.isdir(cache)
    haconiwa("gc")
    assert os.path.isdir(cache)
    assert f"Removed cache {cache}\n" in haconiwa("gc", "--all").stdout
    assert not os.path.exists(cache)
    box.run("/bin/true")
