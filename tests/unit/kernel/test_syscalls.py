"""The numbers are those of the kernel's own headers."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path

import pytest

from haconiwa.kernel import syscalls
from haconiwa.kernel.capabilities import _Data, _Header
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.files import _OpenHow, _Statfs
from haconiwa.kernel.libc import raw_syscall
from haconiwa.kernel.mount import _MountAttr
from haconiwa.kernel.process import _CloneArgs

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),  # the table that aarch64 takes as it is
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_headers(machine: str) -> None:
    header = next((Path(path) for path in HEADERS[machine] if os.path.exists(path)), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text(encoding="utf-8"))
    defined = {name: int(number) for name, number in found}
    assert {name: defined.get(name) for name in syscalls.NUMBERS[machine]} == syscalls.NUMBERS[machine]


def test_both_machines_know_the_same_calls() -> None:
    assert syscalls.NUMBERS["x86_64"].keys() == syscalls.NUMBERS["aarch64"].keys()


def test_calls_younger_than_linux_5_0_have_one_number() -> None:
    x86_64, aarch64 = (syscalls.NUMBERS[machine] for machine in ("x86_64", "aarch64"))
    assert {name: number for name, number in x86_64.items() if number >= 424} == {
        name: number for name, number in aarch64.items() if number >= 424
    }


def test_an_unknown_machine_is_an_error_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "NUMBERS", {})
    call = raw_syscall("openat2", ctypes.c_int)
    with pytest.raises(SyscallError) as caught:
        call(1)
    assert caught.value.errno == errno.ENOSYS
    assert str(caught.value).startswith(f'openat2 [no system call numbers known for machine "{os.uname().machine}"]')


@pytest.mark.parametrize(
    ("structure", "size"),
    [(_CloneArgs, 88), (_OpenHow, 24), (_MountAttr, 32), (_Statfs, 120), (_Header, 8), (_Data, 12)],
)
def test_structures_have_the_size_of_the_kernels(structure: type[ctypes.Structure], size: int) -> None:
    assert ctypes.sizeof(structure) == size
