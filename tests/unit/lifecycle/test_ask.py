from __future__ import annotations

import pytest

from haconiwa.errors import ConfigError, ContainerError, HaconiwaError, HookError, Problem, Where
from haconiwa.lifecycle.ask import _refusal

PLACE = Where("/srv/web.haco", 7, (("/srv/lib.py", 3),))


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            ContainerError("cannot set it", why="EINVAL", where=PLACE, hint="write less", subject="web"),
            ["error: web: refused: cannot set it: EINVAL", "  at: /srv/web.haco:7", "  hint: write less"],
        ),
        (ContainerError("is not running"), ["error: web: refused: is not running"]),
        (ConfigError([Problem("one"), Problem("two")]), ["error: web: refused: one; two"]),
        (
            HookError("the hook failed", why="ValueError", frames=(("/srv/web.haco", 9, "act"),), where=PLACE),
            ["error: web: refused: the hook failed: ValueError; in: act (/srv/web.haco:9)", "  at: /srv/web.haco:7"],
        ),
    ],
)
def test_what_a_supervisor_refuses_keeps_its_place_and_its_hint(error: HaconiwaError, lines: list[str]) -> None:
    assert _refusal("web", "refused", error.lines()).lines() == lines
