"""Layers compared with the root below them, as deep and wide as somebody in a container may have made them."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from haconiwa.build.comparison import compare
from haconiwa.errors import BuildError
from haconiwa.host.tree import remove_tree
from tests.support.rootfs import make_deep

OPAQUE = "user.overlay.opaque"
LONG = "n" * 255
LIMIT = 1 << 16


@pytest.fixture
def upper(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "upper"
    path.mkdir()
    yield path
    remove_tree(str(path))  # pytest cannot when it is deep


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    path = tmp_path / "lower"
    path.mkdir()
    return path


def test_changes_come_in_order_of_their_paths(upper: Path, lower: Path) -> None:
    for path in ("a/b/c", "a-b", "a!/x", "both/new/x", "both/old/y"):
        (upper / path).mkdir(parents=True)
    for path in ("both/old/gone", "both/new", "a-b"):
        (lower / path).mkdir(parents=True)
    os.chmod(upper / "both/new", 0o700)
    (upper / "both/file").touch()
    (lower / "both/file").touch()
    found = list(compare(str(upper), str(lower), OPAQUE))
    assert found == [
        ("A", "/a"), ("A", "/a!"), ("A", "/a!/x"), ("A", "/a/b"), ("A", "/a/b/c"), ("C", "/both/file"),
        ("C", "/both/new"), ("A", "/both/new/x"), ("A", "/both/old/y"),
    ]  # fmt: skip
    assert [path for _, path in found] == sorted(path for _, path in found)


def test_paths_that_are_too_long_are_left_out_and_the_rest_is_told(upper: Path, lower: Path) -> None:
    make_deep(str(upper), 300, LONG)
    (upper / "z").touch()
    found = compare(str(upper), str(lower), OPAQUE)
    longest = [next(found)[1] for _ in range(LIMIT // 256 + 1)][-1]
    assert LIMIT < len(longest) <= LIMIT + 256
    assert next(found) == ("A", "/z")
    with pytest.raises(BuildError, match=f'all that is changed in "{upper}": .* more than {LIMIT} characters'):
        next(found)


def test_many_directories_at_a_long_path_take_no_memory(upper: Path, lower: Path) -> None:
    make_deep(str(upper), 250, LONG, many=2000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in compare(str(upper), str(lower), OPAQUE)) == 250 + 2001
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_directory_that_is_moved_meanwhile_leads_nowhere_else(upper: Path, lower: Path) -> None:
    (upper / "a/b/c").mkdir(parents=True)
    (upper / "elsewhere/secret").mkdir(parents=True)
    (lower / "elsewhere/secret").mkdir(parents=True)
    found = compare(str(upper), str(lower), OPAQUE)
    assert [next(found) for _ in range(3)] == [("A", "/a"), ("A", "/a/b"), ("A", "/a/b/c")]
    os.rename(upper / "a/b", upper / "elsewhere/b")
    with pytest.raises(BuildError, match=f'cannot compare "{upper}": directories in it are being moved'):
        list(found)
