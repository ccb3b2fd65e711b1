"""What a pidfd says of its process, and where one comes from."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from haconiwa.kernel.pidfd import peer_pidfd, reaped_wait_status


def is_linux(*version: int) -> bool:
    release = os.uname().release.split(".")
    return (int(release[0]), int(release[1])) >= version


def has_exit_status() -> bool:
    return is_linux(6, 15)


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


def listen_and_end(path: str, listener: socket.socket) -> None:
    """Let a child make a socket listen, which stays open here when the child has ended."""
    pid = os.fork()
    if pid == 0:
        listener.bind(path)
        listener.listen()
        os._exit(0)
    os.waitpid(pid, 0)


def test_the_pidfd_of_a_connection_is_of_who_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        client.connect(str(tmp_path / "socket"))
        pidfd = peer_pidfd(client)
    assert (pidfd is not None) == is_linux(6, 5)
    if pidfd is not None:
        assert f"Pid:\t{os.getpid()}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        assert not os.get_inheritable(pidfd)
        os.close(pidfd)


def test_the_pidfd_of_a_process_that_has_ended_is_of_nobody_else(tmp_path: Path) -> None:
    """Where the pid that SO_PEERCRED gives may be another's already."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listen_and_end(path, listener)
        client.connect(path)
        try:
            pidfd = peer_pidfd(client)
        except OSError:  # Linux before 6.16
            return
    assert (pidfd is not None) == is_linux(6, 5)
    if pidfd is not None:
        with pytest.raises(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, 0)
        os.close(pidfd)
