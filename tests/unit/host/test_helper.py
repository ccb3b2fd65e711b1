from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.errors import ConfigError, ContainerError, HaconiwaError, HookError, InternalError
from haconiwa.host.helper import LineSplitter, run_helper

OF_THE_C_LIBRARY = 3 << 31
"""Signals 32 and 33 as a mask: a C library catches them for its threads, until the next exec."""


def lines_of(function: object, **options: object) -> tuple[int, list[str]]:
    lines: list[str] = []
    status = run_helper(function, lines.append, **options)  # type: ignore[arg-type]
    return status, lines


def test_output_of_the_child_and_of_its_children_arrives_in_order() -> None:
    def work() -> int:
        print("one")
        os.write(2, b"two\n")
        sys.stderr.write("three")
        return 7

    assert lines_of(work) == (7, ["one", "two", "three"])


def test_lines_arrive_while_the_child_still_works() -> None:
    told, tell = os.pipe()
    seen: list[str] = []

    def on_line(text: str) -> None:
        seen.append(text)
        if text == "first":
            os.write(tell, b"x")

    def work() -> int:
        print("first")
        os.read(told, 1)  # would wait for ever if the line were kept back
        print("second")
        return 0

    assert run_helper(work, on_line) == 0
    assert seen == ["first", "second"]
    os.close(told)
    os.close(tell)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no such step"),
        HaconiwaError("cannot", why="because", hint="do", subject="web"),
        ContainerError("cannot start", why="No such file", hint="look"),
        HookError("it raised", why="ValueError"),
        InternalError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ours_is_raised_again_by_the_caller(error: HaconiwaError) -> None:
    def work() -> int:
        raise error

    with pytest.raises(type(error)) as raised:
        lines_of(work)
    assert raised.value.lines() == error.lines()


def test_another_exception_is_printed_and_fails() -> None:
    status, lines = lines_of(lambda: 1 // 0)
    assert status == 1
    assert lines[-1] == "ZeroDivisionError: integer division or modulo by zero"


@pytest.mark.parametrize(("code", "status"), [(None, 0), (5, 5), ("text", 1)])
def test_sys_exit_is_the_status(code: str | int | None, status: int) -> None:
    assert lines_of(lambda: sys.exit(code))[0] == status


def test_a_signal_is_told_from_a_status() -> None:
    def work() -> int:
        signal.raise_signal(signal.SIGUSR1)
        return 0

    assert lines_of(work, isolated=False)[0] == -signal.SIGUSR1


def test_the_child_has_default_signals_an_empty_mask_and_its_own_session() -> None:
    def work() -> int:
        with open("/proc/thread-self/status", encoding="ascii") as status:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        caught = int(fields["SigCgt"], 16) & ~OF_THE_C_LIBRARY
        print(int(fields["SigBlk"], 16), int(fields["SigIgn"], 16), caught, os.getsid(0) == os.getpid())
        return 0

    assert lines_of(work)[1] == ["0 0 0 True"]


def test_the_callers_mask_and_handlers_stay() -> None:
    before = signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    lines_of(lambda: 0)
    assert (signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ())) == before


def test_nobody_outlives_an_exception() -> None:
    told, tell = os.pipe()

    def on_line(text: str) -> None:
        raise KeyboardInterrupt

    def work() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() != 0:
            print("ready")
        signal.pause()
        return 0

    with pytest.raises(KeyboardInterrupt):
        run_helper(work, on_line, isolated=False)
    os.close(tell)
    assert os.read(told, 1) == b""  # end of file: whoever had the other end is gone
    os.close(told)


def test_a_child_that_stays_in_the_background_does_not_keep_us() -> None:
    def work() -> int:
        if os.fork() == 0:
            signal.pause()
        print("done")
        return 0

    assert lines_of(work, isolated=False) == (0, ["done"])


def test_the_child_dies_with_its_caller() -> None:
    told, tell = os.pipe()

    def work() -> int:
        os.write(tell, b"x")
        signal.pause()
        return 0

    caller = os.fork()
    if caller == 0:
        run_helper(work, print)
        os._exit(1)
    os.close(tell)
    assert os.read(told, 1) == b"x"
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert os.read(told, 1) == b""
    os.close(told)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    whole: list[str] = []
    splitter = LineSplitter(whole.append)
    splitter.feed(b"".join(chunks).replace(b"\r", b"?"))
    splitter.finish()
    pieces: list[str] = []
    splitter = LineSplitter(pieces.append)
    for chunk in chunks:
        splitter.feed(chunk.replace(b"\r", b"?"))
    splitter.finish()
    assert pieces == whole
    assert all(line.replace("\t", "").isprintable() for line in whole)


def test_lines_end_at_carriage_returns_and_are_harmless_on_a_terminal() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    splitter.feed(b" 10%\r 20%\r\ndone\ta\x1b[2Jb\xff\n")
    assert lines == [" 10%", " 20%", "done\ta\\x1b[2Jb\\xff"]


def test_a_line_without_end_is_delivered_in_pieces() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for _ in range(100):
        splitter.feed(b"x" * 1000)
    splitter.finish()
    assert len(lines) > 1
    assert sum(map(len, lines)) == 100_000
