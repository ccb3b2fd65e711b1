from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.lifecycle.json_text import to_json

# what os.fsdecode makes of bytes that are no UTF-8 is among the characters
texts = st.text(st.characters())
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_json_reads_what_was_written(value: object) -> None:
    text = to_json(value)
    assert text.isascii()
    assert json.loads(text) == value


@given(texts)
def test_no_text_acts_on_a_terminal(text: str) -> None:
    assert to_json(text).isprintable()


@given(st.binary(max_size=20))
def test_file_names_that_are_no_utf8(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    assert json.loads(to_json(text)).encode("utf-8", "surrogateescape") == name


def test_tuples_are_lists() -> None:
    assert to_json({"a": (1, 2), "b": ()}) == '{"a": [1, 2], "b": []}'


def test_subclasses_of_bool_and_int() -> None:
    assert to_json([True, 1, 1.5, None]) == "[true, 1, 1.5, null]"
    assert json.loads(to_json(math.pi)) == math.pi


@pytest.mark.parametrize("value", [object(), b"x", {1, 2}, lambda: None])
def test_nothing_else_is_written(value: object) -> None:
    with pytest.raises(TypeError):
        to_json(value)
