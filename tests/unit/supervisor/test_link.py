from __future__ import annotations

import os
import sys
from _socket import SCM_RIGHTS, SOL_SOCKET

from haconiwa.errors import ContainerError, Where
from haconiwa.supervisor.link import FAILED, MESSAGE, UP, make_link, receive, send_failure, send_message, send_up


def test_messages_in_order() -> None:
    ours, theirs = make_link()
    send_message(theirs, "é\udcff")
    send_up(theirs, 42)
    send_failure(theirs, ContainerError("x", why="y", where=Where("f", 1), hint="z", exit_status=126))
    assert receive(ours) == (MESSAGE, "é".encode() + b"\xff", -1)
    assert receive(ours) == (UP, b"42", -1)
    assert receive(ours) == (FAILED, b"126\nerror: x: y\n  at: f:1\n  hint: z", -1)
    theirs.close()
    assert receive(ours) == (b"", b"", -1)
    ours.close()


def test_nothing_there_is_no_reason_to_wait() -> None:
    ours, theirs = make_link()
    assert receive(ours) == (b"", b"", -1)
    ours.close()
    theirs.close()


def test_descriptor() -> None:
    ours, theirs = make_link()
    read_fd, write_fd = os.pipe()
    theirs.sendmsg([b"T"], [(SOL_SOCKET, SCM_RIGHTS, write_fd.to_bytes(4, sys.byteorder))])
    kind, rest, fd = receive(ours)
    assert (kind, rest) == (b"T", b"")
    assert not os.get_inheritable(fd)
    os.write(fd, b"through")
    assert os.read(read_fd, 10) == b"through"
    for number in (fd, read_fd, write_fd):
        os.close(number)
    ours.close()
    theirs.close()


def test_barn_that_is_gone_is_nobody_to_tell() -> None:
    ours, theirs = make_link()
    ours.close()
    send_up(theirs, 42)
    send_message(theirs, "x")
    theirs.close()


def test_long_failure_fits() -> None:
    ours, theirs = make_link()
    send_failure(theirs, ContainerError("x" * 1_000_000))
    kind, rest, _ = receive(ours)
    assert kind == FAILED
    assert rest.startswith(b"125\nerror: xxx")
    ours.close()
    theirs.close()
