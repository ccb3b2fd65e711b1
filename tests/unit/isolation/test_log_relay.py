"""The process that leads what containers print to their logs."""

from __future__ import annotations

import os
import resource
import select
import signal
from _socket import AF_UNIX, SOCK_SEQPACKET, socketpair
from collections.abc import Iterator
from pathlib import Path

import pytest

from haconiwa.isolation.log import LARGEST, Log
from haconiwa.isolation.log_relay import TAKEN, LogRelay, _Relaying, hand_over

DEADLINE_S = 20


@pytest.fixture
def relay() -> Iterator[LogRelay]:
    one = LogRelay()
    yield one
    one.finish()


def lead(relay: LogRelay, path: Path, *, rotates: bool = False) -> tuple[int, int]:
    """A pipe's end whose other one leads to a log, and the answer."""
    log = Log(str(path), rotates=rotates)
    read_fd, write_fd = os.pipe()
    try:
        return write_fd, hand_over(relay.fd, log, str(path), read_fd, rotates=rotates)
    finally:
        log.close()
        os.close(read_fd)


def answered(fd: int) -> bytes:
    assert select.select([fd], [], [], DEADLINE_S)[0]
    return os.read(fd, 1)


def test_many_pipes_to_many_logs(relay: LogRelay, tmp_path: Path) -> None:
    led = [lead(relay, tmp_path / f"{number}", rotates=number % 2 == 0) for number in range(20)]
    for _ in range(3):
        for number, (write_fd, _answer_fd) in enumerate(led):
            os.write(write_fd, f"{number} says\n".encode())
    for number, (write_fd, answer_fd) in enumerate(led):
        assert answered(answer_fd) == TAKEN
        os.close(write_fd)
        assert answered(answer_fd) == b""  # all is written
        assert (tmp_path / f"{number}").read_text() == f"{number} says\n" * 3
        os.close(answer_fd)


def test_a_pipe_that_its_writer_has_emptied_holds_up_nobody(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)  # as RelayOutput hands it over
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
    log = Log(str(tmp_path / "log"), rotates=False)
    relaying = _Relaying(theirs)
    relaying._relay(read_fd, log, -1)
    os.write(write_fd, b"said\n")
    relaying._relay(read_fd, log, -1)
    assert (tmp_path / "log").read_text() == "said\n"
    log.close()
    for fd in (read_fd, write_fd):
        os.close(fd)
    ours.close()
    theirs.close()


def test_it_ends_with_the_last_writer(tmp_path: Path) -> None:
    relay = LogRelay()
    pidfd = os.dup(relay._pidfd)
    write_fd, answer_fd = lead(relay, tmp_path / "log")
    assert answered(answer_fd) == TAKEN
    os.close(answer_fd)  # whoever began it may die
    os.close(os.dup(relay.fd))
    pid = os.fork()
    if pid == 0:
        relay.finish()  # the barn ends; somebody prints still
        os._exit(0)
    os.write(write_fd, b"still here\n")
    os.close(relay.fd)
    assert not select.select([pidfd], [], [], 0.1)[0]
    os.write(write_fd, b"and here\n")
    os.close(write_fd)
    os.waitpid(pid, 0)
    assert select.select([pidfd], [], [], DEADLINE_S)[0]
    assert (tmp_path / "log").read_text() == "still here\nand here\n"
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    os.close(relay._pidfd)


def test_a_full_disk_holds_up_nobody(relay: LogRelay, tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    full, ok = lead(relay, tmp_path / "full"), lead(relay, tmp_path / "ok")
    for _ in range(100):
        os.write(full[0], bytes(1 << 16))
        os.write(ok[0], b"line\n")
    for write_fd, answer_fd in (full, ok):
        assert answered(answer_fd) == TAKEN
        os.close(write_fd)
        assert answered(answer_fd) == b""
        os.close(answer_fd)
    assert (tmp_path / "ok").read_text() == "line\n" * 100


def test_a_log_is_put_aside_by_the_process(relay: LogRelay, tmp_path: Path) -> None:
    write_fd, answer_fd = lead(relay, tmp_path / "log", rotates=True)
    assert answered(answer_fd) == TAKEN
    for _ in range(LARGEST // (1 << 16) + 1):
        os.write(write_fd, bytes(1 << 16))
    os.close(write_fd)
    assert answered(answer_fd) == b""
    os.close(answer_fd)
    assert (tmp_path / "log.1").stat().st_size + (tmp_path / "log").stat().st_size == LARGEST + (1 << 16)


def test_no_more_descriptors(relay: LogRelay, tmp_path: Path) -> None:
    led = []
    while True:
        write_fd, answer_fd = lead(relay, tmp_path / "log")
        answer = answered(answer_fd)
        resource.prlimit(pid_of(relay), resource.RLIMIT_NOFILE, (20, 20))
        if not answer:
            break
        led.append((write_fd, answer_fd))
    assert 3 <= len(led) <= 6
    with pytest.raises(BrokenPipeError):
        os.write(write_fd, b"nobody reads")
    for fd in (write_fd, answer_fd):
        os.close(fd)
    for write_fd, answer_fd in led:
        os.write(write_fd, b"x")  # the others are read still
        os.close(write_fd)
        assert answered(answer_fd) == b""
        os.close(answer_fd)
    assert (tmp_path / "log").read_text() == "x" * len(led)


def pid_of(relay: LogRelay) -> int:
    return int(Path(f"/proc/self/fdinfo/{relay._pidfd}").read_text().split("Pid:")[1].split()[0])


def test_killed_it_takes_nothing(tmp_path: Path) -> None:
    relay = LogRelay()
    os.kill(pid_of(relay), signal.SIGKILL)
    assert select.select([relay._pidfd], [], [], DEADLINE_S)[0]
    with pytest.raises(OSError, match=r"(Broken pipe|reset by peer)"):
        lead(relay, tmp_path / "log")
    relay.finish()
