"""The types and functions made without ``ctypes``."""

from __future__ import annotations

import ctypes

import pytest

from haconiwa.kernel import foreign


@pytest.mark.parametrize(
    "name", ["c_char_p", "c_int", "c_long", "c_size_t", "c_uint32", "c_uint64", "c_ulong", "c_void_p"]
)
def test_a_type_is_as_wide_as_that_of_ctypes(name: str) -> None:
    assert foreign.sizeof(getattr(foreign, name)) == ctypes.sizeof(getattr(ctypes, name))


def test_a_function_takes_and_returns_values_of_the_types_it_was_given() -> None:
    strtoul = foreign.function("strtoul", foreign.c_ulong, (foreign.c_char_p, foreign.c_void_p, foreign.c_int))
    assert strtoul(b"ffffffffffffffff", None, 16) == 2**64 - 1


def test_errno_is_kept_for_the_caller() -> None:
    assert foreign.function("close", foreign.c_int, (foreign.c_int,))(-1) == -1
    assert foreign.get_errno() == 9


def test_each_function_has_argument_types_of_its_own() -> None:
    one = foreign.function("abs", foreign.c_int, (foreign.c_int,))
    two = foreign.function("abs", foreign.c_int, ())
    assert (one(-3), len(two.argtypes)) == (3, 0)


def test_a_function_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="no_such_function"):
        foreign.function("no_such_function", None, ())
