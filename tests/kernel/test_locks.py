from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from haconiwa.kernel.locks import is_locked, lock_until, try_lock
from tests.support.child import in_child


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def test_one_open_file_has_the_lock(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert not is_locked(one)
    assert try_lock(one)
    assert try_lock(one)
    assert not try_lock(two)
    assert is_locked(two)
    assert not is_locked(one)
    os.close(one)
    assert not is_locked(two)
    assert try_lock(two)
    os.close(two)


def test_closing_another_descriptor_of_the_file_keeps_it(tmp_path: Path) -> None:
    # what the older F_SETLK gets wrong
    one, two = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert try_lock(one)
    os.close(opened(tmp_path / "lock"))
    assert is_locked(two)
    os.close(one)
    os.close(two)


def test_forked_child_shares_it(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert try_lock(one)
    assert in_child(lambda: f"{try_lock(one)} {try_lock(two)} {is_locked(two)}") == "True False True"
    assert is_locked(two)
    os.close(one)
    os.close(two)


def test_it_is_gone_with_the_process_that_held_it(tmp_path: Path) -> None:
    ready_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        taken = try_lock(opened(tmp_path / "lock"))
        os.write(write_fd, b"y" if taken else b"n")
        signal.pause()
    assert os.read(ready_fd, 1) == b"y"
    fd = opened(tmp_path / "lock")
    assert is_locked(fd)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not is_locked(fd)
    assert try_lock(fd)
    for number in (fd, ready_fd, write_fd):
        os.close(number)


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert lock_until(one, 0.0)
    assert not lock_until(two, time.monotonic() + 0.05)
    former = signal.signal(signal.SIGALRM, lambda _number, _frame: os.close(one))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert lock_until(two, time.monotonic() + 30)
    signal.signal(signal.SIGALRM, former)
    os.close(two)
