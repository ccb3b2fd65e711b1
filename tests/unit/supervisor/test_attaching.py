"""Running a command for a hook: its pipes, whatever it does with them, and its end."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

import pytest

from haconiwa.supervisor import attaching


def test_nothing_stays_open_when_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(os, "fork", fork)
    before = sorted(os.listdir("/proc/self/fd"))
    state: Any = None
    with pytest.raises(BlockingIOError):
        attaching.attach(state, ["true"], b"", None)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_command_that_reads_what_it_has_written_itself_is_heard_on() -> None:
    """The pipe is ready for a moment, and then has nothing."""
    (output_fd, output_end), (errors_fd, errors_end) = os.pipe(), os.pipe()
    for fd in (output_fd, errors_fd):
        os.set_blocking(fd, False)
    pid = os.fork()
    if pid == 0:
        mine = os.open(f"/proc/self/fd/{output_fd}", os.O_RDONLY | os.O_NONBLOCK)
        for _ in range(20_000):
            os.write(output_end, b"x")
            try:
                os.read(mine, 1)
            except BlockingIOError:
                pass
        for _ in range(300):
            os.write(output_end, b"y" * 1000)
        os._exit(0)
    for fd in (output_end, errors_end):
        os.close(fd)
    pidfd = os.pidfd_open(pid)
    output, _errors = attaching._collect((output_fd, errors_fd), pidfd, 20.0)
    assert output.count(b"y") == 300_000
    os.waitpid(pid, 0)
    for fd in (output_fd, errors_fd, pidfd):
        os.close(fd)
