"""What ``import haconiwa`` offers."""

from __future__ import annotations

import pytest

import haconiwa
from haconiwa.supervisor import base


def test_every_name_exists() -> None:
    assert sorted(haconiwa.__all__) == dir(haconiwa)
    for name in haconiwa.__all__:
        assert getattr(haconiwa, name) is not None


def test_the_live_objects_of_hooks() -> None:
    assert (haconiwa.Base, haconiwa.Barn) == (base.Base, base.Barn)


def test_the_errors_are_one_tree() -> None:
    for name in haconiwa.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(haconiwa, name), haconiwa.HaconiwaError)


def test_the_version() -> None:
    assert haconiwa.__version__ == "0.1.0"


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'haconiwa' has no attribute 'defin'"):
        haconiwa.defin  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(haconiwa, "_MODULE")
