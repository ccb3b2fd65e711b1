"""Modules compiled to what running them needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haconiwa.image.writing import compile_bare

SOURCE = '''\
"""What the module does."""

from __future__ import annotations


class Record:
    """What it is."""

    name: NotDefined = "x"


def function(one: NotDefined, *rest: int, two: str = "", **others: int) -> Nothing:
    """What it does."""
    assert one
    return one, rest, two, others


async def coroutine(one: NotDefined) -> Nothing: ...
'''


def run(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    namespace: dict[str, Any] = {"__name__": "module"}
    exec(compile_bare(str(path)), namespace)
    return namespace


def test_functions_lose_docstrings_annotations_and_assertions_and_nothing_else(tmp_path: Path) -> None:
    function = run(tmp_path)["function"]
    assert function(0, 1, two="2", three=3) == (0, (1,), "2", {"three": 3})
    assert (function.__doc__, function.__annotations__) == (None, {})
    assert function.__code__.co_filename == str(tmp_path / "module.py")
    assert function.__code__.co_firstlineno == SOURCE[: SOURCE.index("def function")].count("\n") + 1


def test_coroutines_lose_theirs_too(tmp_path: Path) -> None:
    assert run(tmp_path)["coroutine"].__annotations__ == {}


def test_classes_keep_their_annotations_unevaluated(tmp_path: Path) -> None:
    record = run(tmp_path)["Record"]
    assert (record.__doc__, record.__annotations__, record.name) == (None, {"name": "NotDefined"}, "x")
