"""What a start needs is not there: it fails with a line that names the thing, and leaves nothing."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import RunDirs
from tests.integration.box import Box, wait_until

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.parametrize("options", ["", "-D"], ids=["foreground", "daemon"])
@pytest.mark.parametrize("files", [10, 12, 15, 16, 19, 20, 22, 24])
def test_too_few_descriptors(box: Box, files: int, options: str) -> None:
    command = f'ulimit -n {files}; exec "$0" start {options} "$1" -- true'
    done = subprocess.run(
        ["/bin/sh", "-c", command, box.haconiwa.path, str(box.file)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=box.haconiwa.environ(), timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert done.returncode in (0, 125), done.stderr
    assert done.returncode == 0 or "error: " in done.stderr
    assert "a bug of haconiwa" not in done.stderr
    assert ("Too many open files (EMFILE)\n" in done.stderr) == (done.returncode != 0)
    assert ("ulimit -n" in done.stderr) == (done.returncode != 0), done.stderr
    wait_until(lambda: not box.run_dir.exists(), "the supervisor in the background has cleared up")
    box.nothing_left()
    assert box.sh("echo again") == "again\n"


@pytest.mark.parametrize("folder", ["/proc/sys/no", "/dev/null/no"])
def test_run_directory_that_cannot_be_made(box: Box, folder: str) -> None:
    failed = box.haconiwa("start", box.file, "--", "true", expect=125, environ={"HACONIWA_RUN_DIR": folder})
    assert "Traceback" not in failed.stderr
    assert os.path.dirname(folder) in failed.stderr
    box.nothing_left()


@pytest.mark.parametrize("options", [(), ("-D",)], ids=["foreground", "daemon"])
def test_run_directory_that_cannot_be_written(box: Box, run_dirs: RunDirs, options: tuple[str, ...]) -> None:
    run_dirs.run.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(run_dirs.run)], check=True)
    try:
        failed = box.haconiwa("start", *options, box.file, "--", "true", expect=125).stderr
    finally:
        subprocess.run(["umount", str(run_dirs.run)], check=True)
    assert f'error: {box.name}: cannot go on: "{box.run_dir}": Read-only file system (EROFS)\n' in failed
    assert "a bug of haconiwa" not in failed
    box.nothing_left()
