"""What the guard of a network tells the supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from haconiwa.isolation.net.guard import Guard


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    fds = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield fds
    for fd in fds:
        os.close(fd)


def flood(guard: Guard) -> None:
    for number in range(500):
        assert not guard._is_allowed(f"x{number}.example")


def test_many_refusals_are_counted_and_not_told_each(pipe: tuple[int, int]) -> None:
    guard = Guard((), ("192.0.2.1",), -1)
    guard._report_fd = pipe[1]
    flood(guard)
    guard._tell_passed_over()
    guard._tell_passed_over()
    *each, last = os.read(pipe[0], 1 << 16).decode("ascii").splitlines()
    assert each[:20] == [f"name x{number}.example" for number in range(20)]
    assert len(each) <= 40  # a second may end meanwhile
    assert last == f"{500 - len(each)} more, not recorded one by one"


def test_those_that_were_counted_are_told_after_a_while(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haconiwa.isolation.net.guard._COUNTED_FOR_S", 0.0)
    guard = Guard((), ("192.0.2.1",), -1)
    guard._report_fd = pipe[1]
    flood(guard)
    late: list[bool] = []
    guard._loop.call_after(0.0, lambda: late.append(True))
    guard._loop.run_until(lambda: bool(late))
    assert os.read(pipe[0], 1 << 16).endswith(b" more, not recorded one by one\n")


def test_those_that_were_counted_are_told_at_the_end() -> None:
    ours, its = socket.socketpair()
    guard = Guard((), ("192.0.2.1",), -1)
    with ours, its:
        guard._report_fd = its.fileno()
        flood(guard)
        ours.shutdown(socket.SHUT_WR)
        guard.run(its.fileno(), None, None)
        assert ours.recv(1 << 16).endswith(b" more, not recorded one by one\n")


def test_the_same_refusal_again_is_neither_told_nor_counted(pipe: tuple[int, int]) -> None:
    guard = Guard((), ("192.0.2.1",), -1)
    guard._report_fd = pipe[1]
    for _ in range(500):
        assert not guard._is_allowed("bad.example")
    guard._tell_passed_over()
    assert os.read(pipe[0], 1 << 16) == b"name bad.example\n"
