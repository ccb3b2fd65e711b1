"""Waiting for the end of a process."""

from __future__ import annotations

import os
import subprocess

from haconiwa.lifecycle.identity import wait_for_end


def test_the_longest_wait_ends_with_the_process() -> None:
    with subprocess.Popen(["sleep", "0.1"]) as process:
        pidfd = os.pidfd_open(process.pid)
        assert not wait_for_end(pidfd, 0)
        assert wait_for_end(pidfd, 366 * 24 * 3600)
        os.close(pidfd)
