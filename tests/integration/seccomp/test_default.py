"""What the default profile blocks, tried inside, beside the same calls without it."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from haconiwa.kernel.syscall_tables import ABIS
from tests.integration.box import Box
from tests.support.program import TREE

pytestmark = pytest.mark.requires("root", "busybox")

PROBE = str(Path(TREE) / "tests" / "integration" / "seccomp" / "probe.py")
PROBE_I386 = PROBE.replace("probe.py", "probe_i386.py")
NUMBERS = ABIS[os.uname().machine].numbers()

BLOCKED = """
    add_key,0,0,0,0,0
    clone3,0,0
    get_mempolicy,0,0,0,0,0
    io_uring_setup,0,0
    ioctl,-1,0x5412,0
    ioctl,-1,0x541c,0
    ioctl,-1,0x100005412,0
    keyctl,0x7fffffff,0,0
    perf_event_open,0,0,-1,-1,0
    personality,0x40000
    pidfd_getfd,-1,0,0
    setns,-1,0
    socket,38,5,0
    socket,0x100000026,5,0
    socket,46,1,0
    unshare,0
    userfaultfd,-1
""".split()
"""What Docker's profile blocks too (but for ioctl); the kernel itself does not answer these arguments with EPERM."""

LIFTED = ("clone3,", "perf_event_open,", "setns,", "unshare,")
"""Of these, what comes with CAP_SYS_ADMIN."""

ALLOWED = """
    clone,0x800,0,0,0,0
    getpid
    ioctl,-1,0x5413,0
    memfd_create,0,0
    personality,0xffffffff
    ptrace,0x7fffffff,0,0,0
    seccomp,2,0,0
    socket,2,1,0
    socket,16,3,0
""".split()


def probe(box: Box, settings: str = "") -> dict[str, str]:
    """The errors of all calls, made in a container with the host's root, where there is a Python."""
    box.write(settings, root=None, independent=(), namespaces=("pid",))
    return errors(box.run(sys.executable, *arguments()).stdout)


def arguments() -> list[str]:
    calls = [call.split(",", 1) for call in (*BLOCKED, *ALLOWED)]
    return [PROBE, *[",".join([str(NUMBERS[name]), *rest]) for name, *rest in calls]]


def errors(output: str) -> dict[str, str]:
    names = [errno.errorcode.get(int(line), "0") for line in output.split()]
    return dict(zip((*BLOCKED, *ALLOWED), names, strict=True))


@pytest.mark.setting("seccomp.profile")
def test_what_is_blocked(box: Box) -> None:
    without = probe(box, 'config.seccomp.profile = "unconfined"')
    assert [call for call in BLOCKED if without[call] == "EPERM"] == []
    by_default = probe(box)
    expected = {call: "ENOSYS" if call.startswith("clone3,") else "EPERM" for call in BLOCKED}
    assert {call: by_default[call] for call in BLOCKED} == expected
    assert {call: by_default[call] for call in ALLOWED} == {call: without[call] for call in ALLOWED}
    privileged = probe(box, "config.capabilities.reset_to_privileged()")
    assert [call for call in BLOCKED if privileged[call] == "EPERM"] == []


def test_what_comes_with_a_capability(box: Box) -> None:
    without = probe(box, 'config.capabilities.allow("sys_admin"); config.seccomp.profile = "unconfined"')
    found = probe(box, 'config.capabilities.allow("sys_admin")')
    expected = {call: without[call] if call.startswith(LIFTED) else "EPERM" for call in BLOCKED}
    assert {call: found[call] for call in BLOCKED} == expected


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="i386 is another ABI of x86_64")
def test_programs_for_i386(box: Box) -> None:
    numbers = ABIS["i386"].numbers()
    calls = {"getpid": "", "keyctl": ",0x7fffffff", "unshare": ",0", "socket": ",40,1,0", "clone3": ",0,0"}
    argv = [PROBE_I386, *[f"{numbers[name]}{given}" for name, given in calls.items()]]
    box.write(root=None, independent=(), namespaces=("pid",))
    done = box.run(sys.executable, *argv, expect=None)
    if done.returncode == 128 + signal.SIGSEGV:
        pytest.skip("this kernel runs no programs for i386")
    pid, *blocked = map(int, done.stdout.split())
    assert pid == 1
    assert blocked == [-errno.EPERM, -errno.EPERM, -errno.EPERM, -errno.ENOSYS]


def test_attach_is_under_the_same_filters(box: Box) -> None:
    box.write(root=None, independent=(), namespaces=("pid",))
    by_default = errors(box.run(sys.executable, *arguments()).stdout)
    box.daemon()
    assert errors(box.attach(sys.executable, *arguments()).stdout) == by_default
    box.stop()
