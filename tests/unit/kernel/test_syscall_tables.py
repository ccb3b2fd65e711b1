"""The tables say what the kernel's own headers say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from haconiwa.kernel.syscall_tables import ABIS, X32_BIT

HEADERS = {
    "x86_64": "x86_64-linux-gnu/asm/unistd_64.h",
    "i386": "x86_64-linux-gnu/asm/unistd_32.h",
    "x32": "x86_64-linux-gnu/asm/unistd_x32.h",
}


@pytest.mark.parametrize("abi", HEADERS)
def test_numbers(abi: str) -> None:
    header = Path("/usr/include") / HEADERS[abi]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR_(\w+) (\(__X32_SYSCALL_BIT \+ )?(\d+)", header.read_text())
    defined = {name: int(number) | (X32_BIT if bit else 0) for name, bit, number in found}
    numbers = ABIS[abi].numbers()
    assert {name: numbers.get(name) for name in defined} == defined


def test_numbers_of_aarch64() -> None:
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    # Each name with a number of its own; those that only 32-bit machines or other names have are left out.
    found = dict(re.findall(r"#define __NR_(\w+) (\d+)", header.read_text()))
    numbers = ABIS["aarch64"].numbers()
    common = numbers.keys() & found.keys()
    assert len(common) > 290
    assert {name: numbers[name] for name in common} == {name: int(found[name]) for name in common}


@pytest.mark.parametrize("abi", ABIS)
def test_each_number_has_one_name(abi: str) -> None:
    numbers = ABIS[abi].numbers()
    assert len(set(numbers.values())) == len(numbers)
    assert {"read", "execveat", "seccomp", "clone3", "file_setattr"} <= numbers.keys()
