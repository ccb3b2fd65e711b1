from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.lifecycle.json_reading import from_json
from haconiwa.lifecycle.json_text import to_json

texts = st.text(st.characters())
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_what_we_and_json_write_is_read(value: object) -> None:
    assert from_json(to_json(value)) == value
    assert from_json(json.dumps(value, indent=1)) == value


@given(st.text('{}[]":,0123456789.-+eE\\utrfalsn \n', max_size=12))
def test_either_the_value_that_json_reads_or_an_error(text: str) -> None:
    try:
        value = from_json(text)
    except ValueError:
        return
    assert isinstance(value, (dict, list, str, int, float, bool, type(None)))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,", "nul", "1 2", "[" * 100, '{"a"1}', '"', '"\n"', '{"a":1,}', "[1 2]", "[,1]", '"\\x"', '"\\u12"',
     "NaN", "inf", "1_0", "{1: 2}"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)
