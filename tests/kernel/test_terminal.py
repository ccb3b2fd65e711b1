"""Pseudo terminals by descriptor."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.terminal import (
    get_window_size,
    open_pty_peer,
    set_controlling_terminal,
    set_window_size,
    unlock_pty,
)
from tests.support.child import in_child


@pytest.fixture
def master_fd() -> Iterator[int]:
    """A new pseudo terminal, still locked."""
    fd = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    yield fd
    os.close(fd)


def failure(error: pytest.ExceptionInfo[SyscallError]) -> tuple[str, str]:
    return errno.errorcode[error.value.errno or 0], error.value.call


def test_the_peer_opens_once_unlocked(master_fd: int) -> None:
    with pytest.raises(SyscallError) as caught:
        open_pty_peer(master_fd)
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    assert failure(caught) == ("EIO", f"ioctl({master_fd}, TIOCGPTPEER, {flags})")
    unlock_pty(master_fd)
    peer_fd = open_pty_peer(master_fd)
    try:
        assert os.isatty(peer_fd)
        assert not os.get_inheritable(peer_fd)
        os.write(peer_fd, b"hello")
        assert os.read(master_fd, 5) == b"hello"
    finally:
        os.close(peer_fd)


def test_the_window_size_is_seen_on_both_ends(master_fd: int) -> None:
    unlock_pty(master_fd)
    peer_fd = open_pty_peer(master_fd)
    try:
        assert get_window_size(peer_fd) == (0, 0)
        set_window_size(master_fd, 24, 132)
        assert get_window_size(peer_fd) == (24, 132)
        assert tuple(os.get_terminal_size(peer_fd)) == (132, 24)
        shown = subprocess.run(["stty", "size"], stdin=peer_fd, capture_output=True, check=True).stdout
        assert shown == b"24 132\n"
    finally:
        os.close(peer_fd)


def test_a_session_leader_gets_its_terminal(master_fd: int) -> None:
    unlock_pty(master_fd)

    def check() -> None:
        peer_fd = open_pty_peer(master_fd)
        os.setsid()
        with pytest.raises(OSError, match="No such device or address"):
            os.open("/dev/tty", os.O_RDWR)
        set_controlling_terminal(peer_fd)
        assert os.tcgetpgrp(os.open("/dev/tty", os.O_RDWR)) == os.getpid()

    in_child(check)


def test_no_terminal_for_who_leads_no_session(master_fd: int) -> None:
    unlock_pty(master_fd)

    def check() -> None:
        peer_fd = open_pty_peer(master_fd)
        os.setsid()
        in_child(lambda: refused(peer_fd))  # a child of the leader

    def refused(peer_fd: int) -> None:
        with pytest.raises(SyscallError) as caught:
            set_controlling_terminal(peer_fd)
        assert failure(caught) == ("EPERM", f"ioctl({peer_fd}, TIOCSCTTY, 0)")

    in_child(check)


def test_what_is_no_terminal_is_refused() -> None:
    fd = os.open("/dev/null", os.O_RDWR)
    calls: dict[str, Callable[[], object]] = {
        "TIOCSPTLCK, {...}": lambda: unlock_pty(fd),
        "TIOCGPTPEER, 524288": lambda: open_pty_peer(fd, 0),
        "TIOCGWINSZ, {...}": lambda: get_window_size(fd),
        "TIOCSWINSZ, {...}": lambda: set_window_size(fd, 1, 1),
        "TIOCSCTTY, 0": lambda: set_controlling_terminal(fd),
    }
    try:
        for text, call in calls.items():
            with pytest.raises(SyscallError) as caught:
                call()
            assert failure(caught) == ("ENOTTY", f"ioctl({fd}, {text})")
    finally:
        os.close(fd)
