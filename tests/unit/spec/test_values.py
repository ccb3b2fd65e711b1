"""Single values: what they become, and that nothing else comes through."""

from __future__ import annotations

import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.spec import values
from haconiwa.spec.values import Refused

ANY_TEXT = st.text() | st.text(alphabet="ab09_.-/$ \n\0")


@given(ANY_TEXT)
def test_a_container_name_is_what_the_reference_says(text: str) -> None:
    fits = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", text)
    if fits:
        assert values.container_name(text) == text
    else:
        with pytest.raises(Refused):
            values.container_name(text)


@given(ANY_TEXT)
def test_a_host_name(text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        assert values.host_name(text) == text
    else:
        with pytest.raises(Refused):
            values.host_name(text)


@given(st.integers())
def test_a_number_is_within_its_bounds(number: int) -> None:
    if 0 <= number <= values.ID_MAX:
        assert values.owner_id(number) == values.owner_id(str(number)) == number
    else:
        with pytest.raises(Refused):
            values.owner_id(number)


@given(st.text(alphabet="0123456789", min_size=1, max_size=12))
def test_ascii_digits_are_a_number(digits: str) -> None:
    try:
        assert values.owner_id(digits) == int(digits)
    except Refused:
        assert int(digits) > values.ID_MAX or len(digits) > 10


@given(st.text(alphabet="/.ab", max_size=12))
def test_a_path_inside_is_absolute_short_and_goes_only_down(text: str) -> None:
    try:
        path = values.inside(text)
    except Refused:
        assert not text.startswith("/") or ".." in text.split("/")
        return
    parts = path.split("/")[1:]
    assert path.startswith("/")
    assert path == "/" or not {"", ".", ".."} & set(parts)
    assert [part for part in text.split("/") if part not in ("", ".")] == [part for part in parts if part]


@pytest.mark.parametrize("length", [1, 4095])
def test_the_longest_path(length: int) -> None:
    assert len(values.path_text("x" * length)) == length


@pytest.mark.parametrize("path", ["x" * 4096, "ü" * 2048])
def test_a_path_that_is_too_long(path: str) -> None:
    with pytest.raises(Refused, match="is longer than 4095 bytes"):
        values.path_text(path)


@given(st.lists(st.text(alphabet="ab \t", max_size=6), max_size=6).map("\n".join))
def test_dedent_is_that_of_textwrap_without_empty_lines_around(code: str) -> None:
    assert values.dedent(code) == textwrap.dedent(code).strip("\n") + "\n"


def test_a_line_that_goes_on_keeps_its_indentation() -> None:
    assert values.dedent("\n\n    if a\n      b\n\n    c  \n  ") == "if a\n  b\n\nc  \n"


@given(st.text(alphabet="abc", max_size=6), st.text(alphabet="abc", max_size=6))
def test_the_distance_is_one_for_one_letter(word: str, other: str) -> None:
    distance = values._distance(word, other)
    assert distance == values._distance(other, word)
    assert (distance == 0) == (word == other)
    assert abs(len(word) - len(other)) <= distance <= max(len(word), len(other))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hostnam", 'did you mean "hostname"?'),
        ("hsotname", 'did you mean "hostname"?'),
        ("HOSTNAME", 'did you mean "hostname"?'),
        ("work", 'did you mean "workdir"?'),
        ("xyz", ""),
        ("", ""),
        ("w", ""),
        ("x" * 10_000, ""),
    ],
)
def test_suggestions(name: str, expected: str) -> None:
    assert values.suggestion(name, ["hostname", "workdir", "name"]) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", '"a"'),
        ("\x1b\n", '"\\x1b\\x0a"'),
        ("a" * 61, '"' + "a" * 60 + '…"'),
        (7, "7"),
        (True, "True"),
        (None, "None"),
        (1.5, "a value of type float"),
        (2**200, "a number of 201 bits"),
        (-(2**200), "a number of 201 bits"),
        (type("a\nb", (), {})(), "a value of type a\\x0ab"),
    ],
)
def test_values_in_messages(value: object, expected: str) -> None:
    assert values.show(value) == expected


@pytest.mark.parametrize("value", [1, 0, "True", None, 1.0])
def test_only_true_and_false_are_booleans(value: object) -> None:
    with pytest.raises(Refused, match="expected True or False"):
        values.boolean(value)


def test_text_without_end_is_refused() -> None:
    with pytest.raises(Refused, match="is longer than 65536 characters"):
        values.string("x" * 65537)
