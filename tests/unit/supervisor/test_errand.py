"""Errands: children whose answer or end the loop waits for, whatever they do with the pipe."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable
from typing import NoReturn

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor import errand
from haconiwa.supervisor.errand import Errand


def run(work: Callable[[], bytes], timeout_s: float = 10.0) -> bytes | None:
    loop = Loop()
    answers: list[bytes | None] = []
    Errand(loop, work, answers.append, timeout_s)
    loop.run_until(lambda: bool(answers))
    return answers[0]


def fds() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def hang() -> NoReturn:
    while True:
        signal.pause()


def hang_without_a_pipe() -> NoReturn:
    os.closerange(3, 1000)
    hang()


def leave_the_pipe_to_another() -> bytes:
    if os.fork() == 0:
        select.select([], [], [], 3.0)
        os._exit(0)
    return b"answer"


def fail() -> NoReturn:
    raise ValueError


def test_an_answer() -> None:
    before = fds()
    assert run(lambda: b"answer" * 20_000) == b"answer" * 20_000
    assert fds() == before


@pytest.mark.parametrize("work", [hang, hang_without_a_pipe])
def test_one_that_takes_too_long_is_ended(work: Callable[[], bytes]) -> None:
    before = fds()
    assert run(work, timeout_s=0.2) is None
    assert fds() == before


@pytest.mark.parametrize("abandoned", [False, True])
def test_one_that_does_not_heed_term_is_killed(monkeypatch: pytest.MonkeyPatch, abandoned: bool) -> None:
    monkeypatch.setattr(errand, "_END_WITHIN_S", 0.01)
    before, loop, answers = fds(), Loop(), list[bytes | None]()
    heard_fd, tell_fd = os.pipe()

    def work() -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(tell_fd, b"deaf")
        hang()

    deaf = Errand(loop, work, answers.append, 60.0)
    assert os.read(heard_fd, 4) == b"deaf"
    if abandoned:
        deaf.abandon()
    else:
        deaf.cancel()
        loop.run_until(lambda: bool(answers))
    assert answers == ([] if abandoned else [None])
    for fd in (heard_fd, tell_fd):
        os.close(fd)
    assert fds() == before


def test_one_that_fails_has_no_answer() -> None:
    assert run(fail) is None


def test_who_else_has_the_pipe_is_not_waited_for() -> None:
    assert run(leave_the_pipe_to_another, timeout_s=2.0) == b"answer"


def test_too_long_an_answer_is_none() -> None:
    assert run(lambda: b"x" * (2 << 20)) is None


def test_a_fork_that_fails_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fork() -> NoReturn:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before, mask = fds(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(os, "fork", no_fork)
    with pytest.raises(BlockingIOError):
        run(lambda: b"answer")
    assert (fds(), signal.pthread_sigmask(signal.SIG_BLOCK, ())) == (before, mask)
