"""docs/haco-file.md names every setting that exists, none that does not, and its code loads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.defaults import Configuration
from haconiwa.dsl.load import load_defaults
from haconiwa.dsl.seccomp import Filter
from haconiwa.dsl.sections import SECTIONS
from haconiwa.spec.model import HOOK_POINTS, BarnSpec

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "haco-file.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAMED = set(re.findall(r"[a-z_][a-z_0-9]+", PAGE))


@pytest.mark.parametrize("kind", [Definition, Filter, *SECTIONS, Configuration])
def test_every_setting_is_named(kind: type) -> None:
    assert sorted(name for name in dir(kind) if not name.startswith("_") and name not in NAMED) == []


def test_every_hook_point_is_named() -> None:
    assert set(HOOK_POINTS) <= NAMED


def test_what_is_called_exists() -> None:
    sections = {kind._section: kind for kind in SECTIONS} | {"rule": Filter}
    for section, name in re.findall(r"`(?:(\w+)\.)?([a-z_]+)\(", PAGE):
        if section not in ("", "config", "barn", "c"):
            assert hasattr(sections[section], name), f"{section}.{name}"
        elif name not in ("define", "configure", "fn"):
            assert hasattr(Definition, name), name


@pytest.mark.parametrize("block", [block for block in BLOCKS if "define" in block])
def test_the_examples_load(load: Callable[[str], BarnSpec], block: str) -> None:
    assert load(block).containers


def test_the_global_config_loads(own_config: Path) -> None:
    own_config.write_text(next(block for block in BLOCKS if "configure" in block))
    assert load_defaults().trusted_uids == (1000,)
