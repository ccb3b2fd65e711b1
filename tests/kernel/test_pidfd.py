"""What a pidfd says of its process."""

from __future__ import annotations

import os

import pytest

from haconiwa.kernel.pidfd import reaped_wait_status


def has_exit_status() -> bool:
    release = os.uname().release.split(".")
    return (int(release[0]), int(release[1])) >= (6, 15)


@pytest.mark.parametrize("status", [0, 7, 255])
def test_how_a_process_has_ended_once_it_was_waited_for(status: int) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(status)
    pidfd = os.pidfd_open(pid)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    assert reaped_wait_status(pidfd) is None
    os.waitpid(pid, 0)
    assert reaped_wait_status(pidfd) == (status << 8 if has_exit_status() else None)
    os.close(pidfd)


def test_what_is_no_pidfd() -> None:
    read_fd, write_fd = os.pipe()
    assert reaped_wait_status(read_fd) is None
    os.close(read_fd)
    os.close(write_fd)
