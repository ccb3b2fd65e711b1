"""Commands whose working directory was removed: what begins with "/" works, and what cannot is said in words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.box import Box
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

Run = Callable[..., "subprocess.CompletedProcess[str]"]
GONE = "the current directory does not exist any more\n  hint: cd into one that does\n"


@pytest.fixture
def run(haconiwa: Program, tmp_path: Path) -> Run:
    """Runs haconiwa in a folder that does not exist."""

    def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "gone"
        folder.mkdir()
        line = ["/bin/sh", "-c", f'rmdir {folder}; exec {haconiwa.path} "$@"', "sh", *argv]
        return subprocess.run(
            line, cwd=folder, env=haconiwa.environ(), check=False, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.mark.parametrize("word", ["nobody", "./web.haco"])
@pytest.mark.parametrize("command", ["attach", "stop", "kill", "inspect", "logs", "stats", "reload"])
def test_a_container_that_does_not_run_is_not_found(run: Run, command: str, word: str) -> None:
    what = "log of" if command == "logs" else "container"
    assert f'error: cannot find a {what} "{word}"' in run(command, word).stderr


def test_events_of_a_name(run: Run) -> None:
    done = run("events", "nobody")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_archive_goes_to_an_absolute_path_only(run: Run, box: Box, tmp_path: Path) -> None:
    box.write()
    assert run("archive", box.file, "-d", "web.tar").stderr.endswith(f'error: cannot find "web.tar": {GONE}')
    assert run("archive", box.file, "-d", tmp_path / "web.tar").returncode == 0
    assert (tmp_path / "web.tar").exists()


def test_a_root_is_removed(run: Run, box: Box, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    box.write(root=root)
    done = run("rm", "--force", box.file)
    assert (done.returncode, done.stderr) == (0, f"Removed rootfs {root}\n")
    assert not root.exists()


def test_a_new_file_has_no_relative_root(run: Run, tmp_path: Path) -> None:
    assert run("new", tmp_path / "web.haco", "--root", "web").stderr == f'error: cannot find "web": {GONE}'


def test_a_unit(run: Run, box: Box) -> None:
    box.write()
    assert "ExecStart=" in run("generate", "systemd", box.file).stdout
