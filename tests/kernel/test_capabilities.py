"""The capability sets of a process, checked against /proc and against setpriv(1)."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from haconiwa.kernel.capabilities import (
    ambient_clear,
    ambient_is_set,
    ambient_raise,
    capbset_drop,
    capbset_read,
    capget,
    capset,
    full_mask,
    last_cap,
    to_mask,
    to_names,
)
from haconiwa.kernel.errors import SyscallError
from tests.support.child import in_child

CHOWN, SYS_ADMIN = 0, 21


def sets() -> dict[str, int]:
    """The five sets as /proc shows them."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return {line[3:6]: int(line.split()[1], 16) for line in lines if line.startswith("Cap")}


def test_last_cap_is_the_last_that_the_kernel_knows() -> None:
    capbset_read(last_cap())
    with pytest.raises(SyscallError) as caught:
        capbset_read(last_cap() + 1)
    assert (caught.value.errno, caught.value.call) == (errno.EINVAL, f"prctl(PR_CAPBSET_READ, {last_cap() + 1}, 0)")
    assert full_mask().bit_length() == last_cap() + 1 == full_mask().bit_count()


def test_capget_is_what_proc_shows() -> None:
    shown = sets()
    assert capget() == (shown["Eff"], shown["Prm"], shown["Inh"])


@pytest.mark.requires("root")
def test_capset_sets_all_three_in_both_words() -> None:
    permitted = to_mask(["chown", "setpcap", "bpf", "checkpoint_restore"])
    effective = to_mask(["chown", "checkpoint_restore"])
    inheritable = to_mask(["bpf"])

    def check() -> None:
        capset(effective, permitted, inheritable)
        assert capget() == (effective, permitted, inheritable)
        shown = sets()
        assert (shown["Eff"], shown["Prm"], shown["Inh"]) == (effective, permitted, inheritable)

    in_child(check)


@pytest.mark.requires("root")
def test_capset_failure() -> None:
    def check() -> None:
        capset(0, 1, 0)
        with pytest.raises(SyscallError) as caught:
            capset(1 << 40, 1 << 40, 0)
        assert caught.value.errno == errno.EPERM
        assert caught.value.call == (
            "capset({version=0x20080522, pid=0}, {effective=0x10000000000, permitted=0x10000000000, inheritable=0x0})"
        )

    in_child(check)


@pytest.mark.requires("root")
def test_capbset_drop() -> None:
    def check() -> None:
        before = sets()["Bnd"]
        assert capbset_read(SYS_ADMIN)
        capbset_drop(SYS_ADMIN)
        assert not capbset_read(SYS_ADMIN)
        assert sets()["Bnd"] == before & ~(1 << SYS_ADMIN)
        capset(0, 0, 0)
        with pytest.raises(SyscallError) as caught:
            capbset_drop(CHOWN)
        assert (caught.value.errno, caught.value.call) == (errno.EPERM, "prctl(PR_CAPBSET_DROP, 0, 0)")

    in_child(check)


@pytest.mark.requires("root")
def test_the_ambient_set() -> None:
    def check() -> None:
        with pytest.raises(SyscallError) as caught:
            ambient_raise(CHOWN)  # not inheritable
        assert (caught.value.errno, caught.value.call) == (
            errno.EPERM,
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0)",
        )
        effective, permitted, _ = capget()
        capset(effective, permitted, 1 << CHOWN)
        assert not ambient_is_set(CHOWN)
        ambient_raise(CHOWN)
        assert ambient_is_set(CHOWN)
        assert sets()["Amb"] == 1 << CHOWN
        ambient_clear()
        assert sets()["Amb"] == 0

    in_child(check)


def test_ambient_failures() -> None:
    for call in (ambient_is_set, ambient_raise):
        with pytest.raises(SyscallError, match="EINVAL"):
            call(63)


@pytest.mark.requires("root", "setpriv")
def test_setpriv_sees_the_same_sets() -> None:
    def check() -> None:
        capset(*[to_mask(["chown", "setuid"])] * 3)
        ambient_raise(CHOWN)
        shown = subprocess.run(["setpriv", "--dump"], capture_output=True, text=True, check=True).stdout
        lines = dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line)
        assert lines["Ambient capabilities"] == "chown"
        assert lines["Inheritable capabilities"] == "chown,setuid"
        assert lines["Capability bounding set"] == ",".join(to_names(sets()["Bnd"]))

    in_child(check)


@pytest.mark.requires("root")
def test_last_cap_without_proc(tmp_path: Path) -> None:
    def check() -> None:
        os.chroot(tmp_path)
        with pytest.raises(FileNotFoundError):
            last_cap()

    in_child(check)
