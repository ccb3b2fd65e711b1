"""Each file of examples/ does what it says, on a cheap root."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.support.program import TREE, Program

EXAMPLES = sorted((Path(TREE) / "examples").glob("*.haco"))


@pytest.fixture
def example(run_dirs: RunDirs) -> Path:
    """The folder of the examples, with root file systems of the test's own."""
    folder = run_dirs.base / "examples"
    folder.mkdir()
    for path in EXAMPLES:
        text = path.read_text(encoding="utf-8").replace("/var/lib/haconiwa", str(run_dirs.lib))
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_check_is_content(path: Path, example: Path, haconiwa: Program) -> None:
    file = example / path.name
    assert haconiwa("check", file).stdout == f"{file}: ok\n"
    assert "execute " in haconiwa("plan", file).stdout


@pytest.mark.requires("root")
def test_demo(example: Path, haconiwa: Program) -> None:
    haconiwa("create", example / "demo.haco")
    done = haconiwa("start", example / "demo.haco")
    assert re.findall(r"inside:     worked for (\d) s", done.stdout) == ["1", "2", "3", "4"]
    assert re.findall(r"supervisor: timer called (\d) times", done.stderr) == ["1", "2", "3", "4"]
    assert "supervisor: the container has ended, exit status 0" in done.stderr


@pytest.mark.requires("root")
def test_hooks_are_called_in_the_order_of_a_life(example: Path, haconiwa: Program) -> None:
    done = haconiwa("start", "--bootstrap", "--quiet", example / "hooks.haco", expect=3)
    assert done.stdout == "the program runs\n"
    said = [line for line in done.stderr.splitlines() if line.partition(":")[0].startswith(("setup", "in the"))]
    assert said[0] == "setup: hooks of hooks.haco, not yet forked"
    supervisor = [line.removeprefix("in the supervisor: ") for line in said if line.startswith("in the supervisor")]
    assert [re.sub(r"\d{2,}", "N", line) for line in supervisor] == [
        "hooks is creating, and has no process yet",
        "hooks is creating, and has no process yet",
        "the container's process is N",
        "hooks is running",
        "a timer, twice",
        "a timer, twice",
        "got USR1 while hooks is running",
        "it ended with 3",
        "which is a failure",
    ]
    inside = [line for line in said if line.startswith(("in the container", "in the new root"))]
    assert [line.partition(":")[0] for line in inside] == ["in the container"] * 3 + ["in the new root"]
    assert said[-2:] == ["in the barn: all have ended, the first failure was 3"] * 2


@pytest.mark.requires("root")
def test_barn(example: Path, haconiwa: Program) -> None:
    file = example / "barn.haco"
    haconiwa("create", file)
    started = haconiwa("start", file).stderr.splitlines()
    assert [line.partition(":")[0] for line in started] == ["worker-0", "worker-1", "worker-2"]
    assert sorted(haconiwa("ps", "-q").stdout.split()) == ["worker-0", "worker-1", "worker-2"]
    haconiwa("stop", "-T", "0", file)


@pytest.mark.requires("root", "busybox")
def test_busybox(example: Path, haconiwa: Program, busybox_root: Path) -> None:
    subprocess.run(["tar", "-C", str(busybox_root), "-czf", str(example / "busybox.tar.gz"), "."], check=True)
    file = example / "busybox.haco"
    script = "id -u; touch /x 2>&- || echo read-only; touch /tmp/x && ip -o link | wc -l; grep CapEff /proc/self/status"
    done = haconiwa("start", "-b", file, "--", "sh", "-c", script)
    assert done.stdout.split("\n")[:3] == ["65534", "read-only", "1"]
    assert "CapEff:\t0000000000000000" in done.stdout


@pytest.mark.requires("root")
def test_seccomp(example: Path, haconiwa: Program) -> None:
    done = haconiwa("start", "-b", "--quiet", example / "seccomp.haco", expect=1)
    assert done.stdout.split() == ["garden"]
    assert re.findall(r"may \d+ make (\S+)\?", done.stderr) == ["/tmp/garden", "/tmp/secret"]
    for words in ("Permission denied", "Read-only file system", "unshare failed: Operation not permitted"):
        assert words in done.stderr
