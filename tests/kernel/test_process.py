"""clone3 and what a process says about itself."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.mount import mount
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.prctl import PR, prctl
from haconiwa.kernel.process import (
    clone3,
    set_child_subreaper,
    set_dumpable,
    set_keepcaps,
    set_no_new_privs,
    set_pdeathsig,
)
from tests.support.child import in_child
from tests.support.requirements import cgroup2_mounts

DEADLINE_S = 20


def clone_and_run(function: Callable[[], object], flags: int = 0, **more: int) -> int:
    """The exit status of a cloned child that runs a function; 99 if that raises."""
    pid, pidfd = clone3(flags, **more)
    if pid == 0:
        try:
            os._exit(int(bool(function())))
        finally:
            os._exit(99)
    assert select.select([pidfd], [], [], DEADLINE_S)[0]
    info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | 0x40000000)  # __WALL: whatever its exit signal is
    os.close(pidfd)
    assert info is not None
    return int(info.si_status)


def status_field(name: str) -> str:
    """A line of the calling process's /proc/self/status."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(line.split(":")[1].strip() for line in lines if line.startswith(name + ":"))


def test_parent_and_child_see_their_part() -> None:
    def check() -> None:
        read_fd, write_fd = os.pipe()
        pid, pidfd = clone3(0)
        if pid == 0:
            os.write(write_fd, f"{pidfd} {os.getpid()} {os.getppid()}".encode())
            os._exit(7)
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        assert info is not None
        assert (info.si_pid, info.si_status) == (pid, 7)
        assert os.read(read_fd, 100).decode() == f"-1 {pid} {os.getpid()}"
        assert not os.get_inheritable(pidfd)

    in_child(check)


@pytest.mark.requires("root")
def test_the_child_is_pid_1_in_namespaces_of_its_own() -> None:
    names = ("pid", "mnt", "uts", "ipc", "net", "cgroup", "time")
    flags = CLONE.NEWPID | CLONE.NEWNS | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWNET | CLONE.NEWCGROUP | CLONE.NEWTIME

    def check() -> None:
        outside = {name: os.readlink(f"/proc/self/ns/{name}") for name in names}
        assert clone_and_run(lambda: os.getpid() == 1, flags) == 1
        # the host's /proc cannot tell about a process of another pid namespace by "self": ask by the pid outside
        pid, pidfd = clone3(flags)
        if pid == 0:
            signal.pause()
        inside = {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in names}
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not set(outside.items()) & set(inside.items())

    in_child(check)


def test_the_interpreters_fork_hooks_run() -> None:
    def check() -> None:
        calls: list[str] = []
        os.register_at_fork(
            before=lambda: calls.append("before"),
            after_in_parent=lambda: calls.append("parent"),
            after_in_child=lambda: calls.append("child"),
        )
        assert clone_and_run(lambda: calls == ["before", "child"]) == 1
        assert calls == ["before", "parent"]
        with pytest.raises(SyscallError):
            clone3(0, exit_signal=4095)
        assert calls == ["before", "parent"] * 2  # a failed one releases what it took

    in_child(check)


def test_the_interpreter_works_in_the_child() -> None:
    def work() -> bool:
        import colorsys  # one that nobody has imported: takes the import lock

        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(os.getpid()))
        thread.start()
        thread.join(DEADLINE_S)
        return seen == [os.getpid()] and threading.main_thread().ident == threading.get_ident() and bool(colorsys)

    in_child(lambda: _equal(clone_and_run(work), 1))


def test_many_children_one_after_the_other() -> None:
    def check() -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            assert clone_and_run(lambda: True) == 1
        assert len(os.listdir("/proc/self/fd")) == before

    in_child(check)


def test_signals_are_blocked_until_parent_and_child_are_told_apart() -> None:
    """A handler that raises must not run between the fork and its hooks; the mask is the caller's afterwards."""

    def check() -> None:
        masks: list[set[int]] = []
        os.register_at_fork(
            after_in_parent=lambda: masks.append(
                {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}
            )
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})

        def mask_is_restored() -> bool:
            return signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGUSR1}

        assert clone_and_run(mask_is_restored) == 1
        assert mask_is_restored()
        unblockable = {signal.SIGKILL, signal.SIGSTOP}
        assert masks == [{int(number) for number in signal.valid_signals() - unblockable}]

    in_child(check)


def test_the_exit_signal_is_sent() -> None:
    def check() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        assert clone_and_run(lambda: True, exit_signal=signal.SIGUSR2) == 1
        assert signal.sigtimedwait({signal.SIGUSR2}, DEADLINE_S)

    in_child(check)


def test_clear_sighand_resets_handlers() -> None:
    def check() -> None:
        signal.signal(signal.SIGUSR1, lambda *_: None)

        def default() -> bool:
            return not int(status_field("SigCgt"), 16) >> (signal.SIGUSR1 - 1) & 1

        assert clone_and_run(default, CLONE.CLEAR_SIGHAND) == 1
        assert not default()

    in_child(check)


@pytest.fixture
def cgroup_v2() -> Iterator[Path]:
    """A control group of the unified hierarchy, wherever that is."""
    points = cgroup2_mounts()
    if not points:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    path = Path(points[0]) / f"kernel-test-{os.getpid()}"
    path.mkdir()
    yield path
    path.rmdir()


@pytest.mark.requires("root")
def test_the_child_is_born_in_a_control_group(cgroup_v2: Path) -> None:
    def check() -> None:
        def born_there() -> bool:
            return f"/{cgroup_v2.name}\n" in Path("/proc/self/cgroup").read_text(encoding="utf-8")

        cgroup_fd = os.open(cgroup_v2, os.O_PATH | os.O_DIRECTORY)
        assert clone_and_run(born_there, cgroup_fd=cgroup_fd) == 1
        assert not born_there()

    in_child(check)


@pytest.mark.parametrize("flag", [0x100, 0x200, 0x400, 0x800, 0x4000, 0x10000, 1 << 50])
def test_flags_that_share_memory_or_are_unknown_are_refused(flag: int) -> None:
    with pytest.raises(ValueError, match=hex(flag)):
        clone3(CLONE.NEWNS | flag)


def test_clone3_failures_show_the_call() -> None:
    def check() -> None:
        fd = os.open("/", os.O_PATH)
        with pytest.raises(SyscallError) as caught:
            clone3(0, cgroup_fd=fd)
        assert caught.value.errno == errno.EBADF
        assert caught.value.call == (
            f"clone3({{flags=CLONE_PIDFD|CLONE_INTO_CGROUP, exit_signal=17, cgroup={fd}}}, 88)"
        )
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError, match="flags=CLONE_NEWNS") as caught:
            clone3(CLONE.NEWNS)
        assert caught.value.errno == errno.EPERM

    in_child(check)


def test_set_pdeathsig_ends_the_child_with_its_parent() -> None:
    def check() -> None:
        read_fd, write_fd = os.pipe()
        if (parent := os.fork()) == 0:
            if os.fork() == 0:
                set_pdeathsig(signal.SIGKILL)
                os.write(write_fd, b"armed")
                signal.pause()
            signal.pause()
        os.close(write_fd)
        assert os.read(read_fd, 5) == b"armed"
        os.kill(parent, signal.SIGTERM)
        os.waitpid(parent, 0)
        assert select.select([read_fd], [], [], DEADLINE_S)[0]
        assert os.read(read_fd, 1) == b""  # nobody holds the other end any more

    in_child(check)


def test_set_pdeathsig_failure() -> None:
    with pytest.raises(SyscallError) as caught:
        set_pdeathsig(4095)
    assert (caught.value.errno, caught.value.call) == (errno.EINVAL, "prctl(PR_SET_PDEATHSIG, 4095, 0)")


def test_set_dumpable() -> None:
    def check() -> None:
        set_dumpable(False)
        assert prctl(PR.GET_DUMPABLE) == 0
        set_dumpable(True)
        assert prctl(PR.GET_DUMPABLE) == 1

    in_child(check)


def test_set_no_new_privs() -> None:
    def check() -> None:
        assert status_field("NoNewPrivs") == "0"
        set_no_new_privs()
        assert status_field("NoNewPrivs") == "1"

    in_child(check)


@pytest.mark.requires("root")
def test_set_keepcaps_keeps_the_permitted_set() -> None:
    def permitted_after(keep: bool) -> int:
        set_keepcaps(keep)
        os.setresuid(65534, 65534, 65534)
        return int(status_field("CapPrm"), 16)

    assert int(in_child(lambda: permitted_after(True))) != 0
    assert int(in_child(lambda: permitted_after(False))) == 0


def test_set_child_subreaper_adopts_orphans() -> None:
    def check() -> None:
        set_child_subreaper(True)
        read_fd, write_fd = os.pipe()
        if (middle := os.fork()) == 0:
            if (orphan := os.fork()) == 0:
                os.read(read_fd, 1)
                os._exit(3)
            os._exit(0 if orphan else 1)
        os.waitpid(middle, 0)
        os.write(write_fd, b"x")
        _, status = os.wait()
        assert os.waitstatus_to_exitcode(status) == 3
        set_child_subreaper(False)

    in_child(check)


def test_prctl_failure() -> None:
    with pytest.raises(SyscallError) as caught:
        prctl(PR.SET_NO_NEW_PRIVS, 2)
    assert (caught.value.errno, caught.value.call) == (errno.EINVAL, "prctl(PR_SET_NO_NEW_PRIVS, 2, 0)")


@pytest.mark.requires("root")
def test_a_mount_of_the_child_is_not_seen_outside(tmp_path: Path) -> None:
    def check() -> bool:
        mount(None, "/", None, 1 << 18 | 16384)
        mount("x", tmp_path, "tmpfs")
        return os.path.ismount(tmp_path)

    def outside() -> None:
        assert clone_and_run(check, CLONE.NEWNS) == 1
        assert not os.path.ismount(tmp_path)

    in_child(outside)


def _equal(one: object, other: object) -> None:
    assert one == other
