"""A virtual machine whose first process is systemd."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.program import TREE

pytestmark = [
    pytest.mark.requires("root", "qemu", "kmod", "busybox", "systemd-analyze"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


def test_the_unit_under_systemd() -> None:
    """No test may be skipped there."""
    pytest_argv = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "200"]
    argv = [f"{TREE}/scripts/vm", "--systemd", "--timeout", "550", "--", *pytest_argv]
    done = subprocess.run(
        [*argv, "tests/integration/test_under_systemd.py"],
        cwd=TREE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
