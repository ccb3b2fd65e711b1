"""Filters and listeners, for real."""

from __future__ import annotations

import errno
import os
import signal
import struct
from typing import Any

import pytest

from haconiwa.kernel.capabilities import capset
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.process import set_no_new_privs
from haconiwa.kernel.seccomp import FILTER_FLAG, RET, set_mode_filter
from haconiwa.kernel.seccomp_notify import notif_id_valid, notif_recv, notif_send
from haconiwa.kernel.syscall_tables import ABIS
from tests.support.child import in_child

OWN = ABIS[os.uname().machine]
GETPPID = OWN.numbers()["getppid"]


def answering(action: int, number: int = GETPPID) -> bytes:
    """A filter that answers one call with an action and allows all others."""
    instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, action), (0x06, 0, 0, RET.ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def test_a_call_fails_as_the_filter_says() -> None:
    def check() -> int | None:
        set_no_new_privs()
        assert set_mode_filter(answering(RET.ERRNO | errno.EXDEV, OWN.numbers()["mkdirat"])) == 0
        with pytest.raises(OSError, match="cross-device") as caught:
            os.mkdir("never", dir_fd=os.open("/", os.O_PATH))
        return caught.value.errno

    assert in_child(check) == str(errno.EXDEV)


def test_a_killed_process() -> None:
    pid = os.fork()
    if pid == 0:
        set_no_new_privs()
        set_mode_filter(answering(RET.KILL_PROCESS))
        os.getppid()
        os._exit(1)
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGSYS


def test_without_any_right_to() -> None:
    def check() -> None:
        capset(0, 0, 0)
        with pytest.raises(SyscallError) as caught:
            set_mode_filter(answering(RET.ALLOW), FILTER_FLAG.SPEC_ALLOW)
        assert caught.value.errno == errno.EACCES
        call = "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, {len=4})"
        assert caught.value.call == call

    in_child(check)


@pytest.mark.parametrize("program", [b"", b"1234567", bytes(8 * 4097)])
def test_what_is_no_program(program: bytes) -> None:
    with pytest.raises(ValueError, match=f"a seccomp program of {len(program)} bytes"):
        set_mode_filter(program)


def test_what_the_kernel_does_not_take() -> None:
    def check() -> None:
        set_no_new_privs()
        with pytest.raises(SyscallError) as caught:
            set_mode_filter(bytes(8))
        assert caught.value.errno == errno.EINVAL

    in_child(check)


def listening() -> tuple[int, int]:
    """A child that makes one call that is told, as (its pid, the listener).

    It leaves with what the call returned, or with 100 and its error number.
    """
    files = os.pipe()
    no_folder = os.open("/dev/null", os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        set_no_new_privs()
        number = OWN.numbers()["mkdirat"]
        listener = set_mode_filter(answering(RET.USER_NOTIF, number), FILTER_FLAG.NEW_LISTENER)
        os.write(files[1], bytes([listener]))
        try:
            os.mkdir("haconiwa-never-made", dir_fd=no_folder)
        except OSError as error:
            os._exit(100 + (error.errno or 0))
        os._exit(0)
    os.close(files[1])
    os.close(no_folder)
    number = os.read(files[0], 1)[0]
    os.close(files[0])
    pidfd = os.pidfd_open(pid)
    listener = _getfd(pidfd, number)
    os.close(pidfd)
    return pid, listener


def _getfd(pidfd: int, number: int) -> int:
    """The listener in this process. See: pidfd_getfd(2)."""
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).syscall(OWN.numbers()["pidfd_getfd"], pidfd, number, 0))


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [({"error": errno.EXDEV}, 100 + errno.EXDEV), ({"value": 0}, 0), ({"continues": True}, 100 + errno.ENOTDIR)],
)
def test_a_call_that_is_told(answer: dict[str, Any], expected: int) -> None:
    pid, listener = listening()
    told = notif_recv(listener)
    assert (told.pid, told.number, told.audit) == (pid, OWN.numbers()["mkdirat"], OWN.audit)
    assert told.arguments[2] == 0o777
    assert notif_id_valid(listener, told.id)
    assert not notif_id_valid(listener, told.id + 1)
    notif_send(listener, told.id, **answer)
    _pid, status = os.waitpid(pid, 0)
    os.close(listener)
    assert os.waitstatus_to_exitcode(status) == expected


@pytest.mark.requires("root")
def test_a_caller_that_has_gone() -> None:
    pid, listener = listening()
    told = notif_recv(listener)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not notif_id_valid(listener, told.id)
    with pytest.raises(FileNotFoundError):
        notif_send(listener, told.id)
    os.close(listener)
