"""Capability names and masks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.kernel.capabilities import to_mask, to_names
from haconiwa.kernel.names import CAPABILITIES

HEADER = Path("/usr/include/linux/capability.h")


@pytest.mark.skipif(not HEADER.exists(), reason="the kernel's headers are not installed")
def test_names_are_in_the_order_of_the_kernels_numbers() -> None:
    defined = re.findall(r"^#define CAP_(\w+)\s+(\d+)$", HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(name.lower(), int(number)) for name, number in defined][: len(CAPABILITIES)] == [
        (name, number) for number, name in enumerate(CAPABILITIES)
    ]


def test_the_last_one_is_checkpoint_restore() -> None:
    assert CAPABILITIES.index("checkpoint_restore") == 40 == len(CAPABILITIES) - 1


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_a_mask_survives_its_names(mask: int) -> None:
    names = to_names(mask)
    assert to_mask(names) == mask
    assert len(set(names)) == mask.bit_count()


@given(st.sets(st.sampled_from(CAPABILITIES)))
def test_names_survive_their_mask_in_the_order_of_numbers(names: set[str]) -> None:
    assert to_names(to_mask(names)) == tuple(name for name in CAPABILITIES if name in names)


def test_known_values() -> None:
    assert to_mask(["chown", "sys_admin"]) == 0x200001
    assert to_mask([]) == 0
    assert to_names(1 << 41 | 1) == ("chown", "41")


@pytest.mark.parametrize("name", ["cap_chown", "CHOWN", "", "nonsense", "64", "40", "-1", "\u0664\u0662", "1" * 9999])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown capability"):
        to_mask([name])


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        mask = to_mask([text])
    except ValueError as error:
        assert str(error).startswith("unknown capability")  # noqa: PT017
    else:
        assert to_names(mask) == (text,)
