"""What a start needs is not there: it fails with a line that names the thing, and leaves nothing."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.parametrize("files", [12, 16, 20, 24])
def test_too_few_descriptors(box: Box, files: int) -> None:
    command = f'ulimit -n {files}; exec "$0" start "$1" -- true'
    done = subprocess.run(
        ["/bin/sh", "-c", command, box.haconiwa.path, str(box.file)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=box.haconiwa.environ(), timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 125), done.stderr
    assert done.returncode == 0 or "error: " in done.stderr
    box.nothing_left()
    assert box.sh("echo again") == "again\n"


@pytest.mark.parametrize("folder", ["/proc/sys/no", "/dev/null/no"])
def test_run_directory_that_cannot_be_made(box: Box, folder: str) -> None:
    failed = box.haconiwa("start", box.file, "--", "true", expect=125, environ={"HACONIWA_RUN_DIR": folder})
    assert "Traceback" not in failed.stderr
    assert os.path.dirname(folder) in failed.stderr
    box.nothing_left()
