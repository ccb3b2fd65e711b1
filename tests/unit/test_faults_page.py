from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
ROWS = [
    line
    for line in (TESTS.parent / "docs" / "design" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| F")
]


def test_every_fault_has_a_row() -> None:
    assert [row.split(" | ")[0] for row in ROWS] == [f"| F{number}" for number in range(1, 49)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split()[1])
def test_it_names_tests_that_exist_or_says_why_not(row: str) -> None:
    named = re.findall(r"`([a-z_/0-9]+\.py)::(\w+)`", row)
    assert named or "none: " in row
    for path, name in named:
        assert f"\ndef {name}(" in (TESTS / path).read_text(encoding="utf-8"), (path, name)
