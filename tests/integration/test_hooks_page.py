"""docs/hooks.md: each example is a haco file that prints what stands below it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.program import TREE, Program

pytestmark = pytest.mark.requires("root")

PAGE = (Path(TREE) / "docs" / "hooks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == PAGE.count("```python")


@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_example(code: str, expected: str, haco_file: Callable[[str], Path], haconiwa: Program) -> None:
    file = haco_file(code)
    assert haconiwa("check", file).stdout.endswith(": ok\n")
    said = haconiwa("start", file, expect=None).stderr.splitlines()
    wanted = iter(expected.splitlines())
    line = next(wanted)
    for found in said:
        if found == line and (line := next(wanted, "")) == "":
            return
    raise AssertionError(f"{line!r} is not in {said}")
