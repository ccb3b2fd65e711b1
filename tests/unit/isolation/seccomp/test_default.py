"""What the default profile answers, on both machines and for each of their ABIs."""

from __future__ import annotations

import zlib

import pytest

from haconiwa.isolation.seccomp import filters
from haconiwa.isolation.seccomp.bpf import assemble
from haconiwa.isolation.seccomp.default import default_policy
from haconiwa.kernel.names import CAPABILITIES
from haconiwa.kernel.seccomp import RET
from haconiwa.kernel.syscall_tables import ABIS, MACHINES
from haconiwa.spec.model import DEFAULT_CAPABILITIES
from tests.support.bpf import run_filter

EPERM, ENOSYS = RET.ERRNO | 1, RET.ERRNO | 38
EVERY = [(machine, abi) for machine, abis in MACHINES.items() for abi in abis]
PROGRAMS = {machine: assemble(default_policy(machine, frozenset(DEFAULT_CAPABILITIES))) for machine in MACHINES}

BLOCKED = """
    acct add_key bpf chroot clock_settime delete_module finit_module init_module ioperm iopl io_uring_enter
    io_uring_register io_uring_setup kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount mount_setattr
    move_mount move_pages open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise quotactl
    reboot request_key setdomainname sethostname setns set_mempolicy settimeofday swapoff swapon syslog umount2 unshare
    userfaultfd uselib vhangup fsopen fsmount fsconfig fspick
""".split()

ALLOWED = "read write openat execve execveat mmap futex ptrace seccomp prctl capset setresuid setgroups".split()


def answer(machine: str, abi: str, name: str, *arguments: int, program: bytes | None = None) -> int | None:
    """The answer to a call; None for one that the ABI does not have."""
    number = ABIS[abi].numbers().get(name)
    if number is None:
        return None
    return run_filter(program or PROGRAMS[machine], ABIS[abi].audit, number, arguments)


@pytest.mark.parametrize(("machine", "abi"), EVERY)
def test_calls(machine: str, abi: str) -> None:
    assert {answer(machine, abi, name) for name in ALLOWED} - {None} == {RET.ALLOW}
    assert [name for name in BLOCKED if answer(machine, abi, name) not in (None, EPERM)] == []
    assert answer(machine, abi, "clone3") == ENOSYS
    assert run_filter(PROGRAMS[machine], ABIS[abi].audit, ABIS[abi].bit | 599) == ENOSYS


@pytest.mark.parametrize(("machine", "abi"), EVERY)
def test_arguments(machine: str, abi: str) -> None:
    upper = 0 if abi in ("i386", "arm") else 0x5A << 32  # what the kernel does not look at
    for request in (0x5412, 0x541C):
        assert answer(machine, abi, "ioctl", 0, request | upper) == EPERM
    assert answer(machine, abi, "ioctl", 0, 0x5413) == RET.ALLOW
    for family in (12, 38, 40, 46, 2**31):
        assert answer(machine, abi, "socket", family | upper) == EPERM
    for family in (1, 2, 10, 16, 17, 45):
        assert answer(machine, abi, "socket", family | upper) == RET.ALLOW
    assert answer(machine, abi, "clone", 0x003D0F00) == RET.ALLOW
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(machine, abi, "clone", 0x11 | flag) == EPERM
    assert answer(machine, abi, "personality", 0xFFFFFFFF) == RET.ALLOW
    assert answer(machine, abi, "personality", 0x40000) == EPERM  # ADDR_NO_RANDOMIZE


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ("sys_admin", "mount umount2 unshare setns clone3 bpf sethostname fsopen"),
        ("sys_chroot", "chroot"),
        ("sys_module", "init_module finit_module delete_module"),
        ("sys_time", "clock_settime settimeofday"),
        ("sys_ptrace", "pidfd_getfd kcmp"),
        ("sys_nice", "mbind set_mempolicy"),
        ("sys_boot", "reboot"),
        ("perfmon", "perf_event_open"),
        ("dac_read_search", "open_by_handle_at"),
    ],
)
def test_a_capability_brings_its_calls(capability: str, names: str) -> None:
    program = assemble(default_policy("x86_64", frozenset([capability])))
    for name in names.split():
        assert answer("x86_64", "x86_64", name, program=program) == RET.ALLOW
        assert answer("x86_64", "x86_64", name) in (EPERM, ENOSYS)


def test_no_capability_brings_these() -> None:
    program = assemble(default_policy("x86_64", frozenset(CAPABILITIES)))
    for name in "keyctl kexec_load userfaultfd io_uring_setup pivot_root swapon".split():
        assert answer("x86_64", "x86_64", name, program=program) == EPERM
    assert answer("x86_64", "x86_64", "clone", 0x10000000, program=program) == RET.ALLOW


def test_every_name_exists_somewhere() -> None:
    known = {name for abi in ABIS.values() for name in abi.numbers()}
    rules = default_policy("x86_64", frozenset(CAPABILITIES)).rules
    assert {name for rule in rules for name in rule.names} - known == set()


def test_what_is_cached_is_told_from_what_would_be_made_now() -> None:
    """When this fails, what is compiled has changed: raise filters._REVISION and put the new sums here."""
    sums = {machine: zlib.crc32(program) for machine, program in sorted(PROGRAMS.items())}
    assert (filters._REVISION, sums) == (1, {"aarch64": 3208462517, "x86_64": 3750112022})
