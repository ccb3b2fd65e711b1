"""unshare, setns and the type of a namespace."""

from __future__ import annotations

import errno
import os
import signal
import threading

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.namespaces import CLONE, namespace_type, setns, unshare
from haconiwa.kernel.process import clone3
from tests.support.child import in_child

FILES = {
    "mnt": CLONE.NEWNS,
    "uts": CLONE.NEWUTS,
    "ipc": CLONE.NEWIPC,
    "net": CLONE.NEWNET,
    "pid": CLONE.NEWPID,
    "user": CLONE.NEWUSER,
    "cgroup": CLONE.NEWCGROUP,
    "time": CLONE.NEWTIME,
}


def namespace(name: str) -> str:
    return os.readlink(f"/proc/self/ns/{name}")


@pytest.mark.requires("root")
@pytest.mark.parametrize("name", FILES)
def test_unshare_makes_a_new_one(name: str) -> None:
    shown = f"{name}_for_children" if name in {"pid", "time"} else name

    def check() -> None:
        before = namespace(shown)
        unshare(FILES[name])
        if name == "pid":  # made when its first process is
            assert in_child(os.getpid) == "1"
        else:
            assert namespace(shown) != before

    in_child(check)


@pytest.mark.requires("root")
def test_unshare_failures() -> None:
    def check() -> None:
        with pytest.raises(SyscallError) as caught:
            unshare(CLONE.NEWNS | 1)
        assert (caught.value.errno, caught.value.call) == (errno.EINVAL, "unshare(CLONE_NEWNS|0x1)")
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError) as caught:
            unshare(CLONE.NEWNS | CLONE.NEWUTS)
        assert (caught.value.errno, caught.value.call) == (errno.EPERM, "unshare(CLONE_NEWNS|CLONE_NEWUTS)")

    in_child(check)


def test_a_user_namespace_is_refused_to_a_process_with_threads() -> None:
    def check() -> None:
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        with pytest.raises(SyscallError) as caught:
            unshare(CLONE.NEWUSER)
        assert caught.value.errno == errno.EINVAL
        done.set()
        thread.join()

    in_child(check)


@pytest.mark.requires("root")
def test_setns_by_file_goes_back() -> None:
    def check() -> None:
        before = namespace("uts")
        fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
        unshare(CLONE.NEWUTS)
        assert namespace("uts") != before
        setns(fd, CLONE.NEWUTS)
        assert namespace("uts") == before

    in_child(check)


@pytest.mark.requires("root")
def test_setns_by_pidfd_enters_several_at_once() -> None:
    flags = CLONE.NEWNS | CLONE.NEWUTS | CLONE.NEWNET | CLONE.NEWIPC | CLONE.NEWPID

    def check() -> None:
        pid, pidfd = clone3(flags)
        if pid == 0:
            signal.pause()
        theirs = {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in ("uts", "net", "ipc")}
        setns(pidfd, flags)
        assert {name: namespace(name) for name in theirs} == theirs
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    in_child(check)


@pytest.mark.requires("root")
def test_setns_failures() -> None:
    def check() -> None:
        fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
        with pytest.raises(SyscallError) as caught:
            setns(fd, CLONE.NEWNET)
        assert (caught.value.errno, caught.value.call) == (errno.EINVAL, f"setns({fd}, CLONE_NEWNET)")
        with pytest.raises(SyscallError) as caught:
            setns(-1)
        assert (caught.value.errno, caught.value.call) == (errno.EBADF, "setns(-1, 0)")
        pid, pidfd = clone3(0)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        with pytest.raises(SyscallError) as caught:
            setns(pidfd, CLONE.NEWNET)
        assert caught.value.errno == errno.ESRCH

    in_child(check)


@pytest.mark.parametrize("name", FILES)
def test_namespace_type(name: str) -> None:
    fd = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
    try:
        assert namespace_type(fd) == FILES[name]
    finally:
        os.close(fd)


def test_namespace_type_of_something_else() -> None:
    read_fd, write_fd = os.pipe()
    try:
        with pytest.raises(SyscallError) as caught:
            namespace_type(read_fd)
    finally:
        os.close(read_fd)
        os.close(write_fd)
    assert (caught.value.errno, caught.value.call) == (errno.ENOTTY, f"ioctl({read_fd}, NS_GET_NSTYPE, 0)")
