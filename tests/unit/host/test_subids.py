from __future__ import annotations

from pathlib import Path

import pytest

from haconiwa.host.subids import line_to_add, own_names, subid_ranges

TEXT = """\
# comment
root:100000:65536
1000:200000:10
haconiwa:300000:65536
root:4294967290:10
root:x:5
root:1:0
root:5
root:400000:7
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "subuid").write_text(TEXT)
    monkeypatch.setenv("HACONIWA_SUBUID", str(tmp_path / "subuid"))
    monkeypatch.setenv("HACONIWA_SUBGID", str(tmp_path / "missing"))


def test_ranges_of_a_user_in_the_files_order() -> None:
    assert subid_ranges("uid", frozenset({"root", "haconiwa"})) == [(100000, 65536), (300000, 65536), (400000, 7)]
    assert subid_ranges("uid", frozenset({"1000"})) == [(200000, 10)]
    assert subid_ranges("gid", frozenset({"root"})) == []


def test_the_line_to_add_overlaps_nothing() -> None:
    assert line_to_add("uid", "web") == "web:400007:1048576"
    assert line_to_add("gid", "web") == "web:100000:1048576"


def test_roots_lines_may_be_those_of_haconiwa() -> None:
    assert {"0", "root", "haconiwa"} <= own_names(0)
    assert own_names(4_000_000_000) == {"4000000000"}
