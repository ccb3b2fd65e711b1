"""Which of tar's complaints matter."""

from __future__ import annotations

import pytest

from haconiwa.build.unpack import Outcome

LONGEST_LINE = 1 << 14
"""In bytes: where a line that is longer may be cut."""


def refused(*lines: str) -> tuple[str, list[str]]:
    told: list[str] = []
    outcome = Outcome(told.append)
    for line in lines:
        outcome.line(line)
    return outcome.refused, told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tar: Removing leading `/' from member names", "Removing leading `/' from member names"),
        (
            "tar: Removing leading `../' from hard link targets",
            "Removing leading `../' from hard link targets",
        ),
        (
            "tar: setxattrat: Cannot set 'user.a' extended attribute for file 'x'a: b': Operation not supported",
            "setxattrat: Cannot set 'user.a' extended attribute for file 'x'a: b': Operation not supported",
        ),
        ("/usr/bin/tar: dev/null: Cannot mknod: Operation not permitted", 'left out the device node "dev/null"'),
        ("tar: Exiting with failure status due to previous errors", None),
        ("gzip: stdin: trailing garbage ignored", "gzip: stdin: trailing garbage ignored"),
    ],
)
def test_what_does_not_matter(line: str, told: str | None) -> None:
    assert refused(line) == ("", [told] if told else [])


@pytest.mark.parametrize(
    "message",
    [
        "Removing leading `/' from member names: Cannot open: File exists",
        "Removing leading all: Cannot open: File exists",
        "Exiting with failure status due to previous errors: Cannot open: File exists",
        "setxattrat\\: Cannot set 'a' extended attribute for file 'b'\\: c: Cannot open: File exists",
        "hl: Cannot hard link to 'Removing leading `/' from member names': No such file or directory",
        "x: Cannot mknod: Operation not permitted: Cannot open: File exists",
    ],
)
def test_a_name_that_looks_harmless_does(message: str) -> None:
    assert refused(f"tar: {message}", "tar: x: other") == (message, [message, "x: other"])


@pytest.mark.parametrize("end", ["/' from member names", ": Cannot mknod: Operation not permitted"])
@pytest.mark.parametrize("character", ["n", "\U00010348"])
def test_a_name_that_ends_where_a_line_is_cut(end: str, character: str) -> None:
    start = "/usr/bin/tar: Removing leading `"
    filling = (LONGEST_LINE + 1 - len(start) - len(end)) // len(character.encode()) + 1
    assert refused(start + character * filling + end)[0] != ""
