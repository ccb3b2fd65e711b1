"""Writes haco files and loads them, without the machine's global config."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.dsl.load import load_file
from haconiwa.errors import ConfigError
from haconiwa.spec.model import BarnSpec, ContainerSpec


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The global config of the test; does not exist unless the test writes it."""
    path = tmp_path / "haconiwa.conf.py"
    monkeypatch.setenv("HACONIWA_CONFIG", str(path))
    before = {name: sys.modules.get(name) for name in ("__haco__", "__haco_config__")}
    yield path
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes ``test.haco`` and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "test.haco"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        path.chmod(0o644)
        return path

    return write


@pytest.fixture
def load(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], BarnSpec]:
    """Loads a text as ``test.haco`` of the working directory."""

    def load(text: str) -> BarnSpec:
        monkeypatch.chdir(write(text).parent)
        return load_file("test.haco")

    return load


@pytest.fixture
def settings(load: Callable[[str], BarnSpec]) -> Callable[[str], ContainerSpec]:
    """Loads lines that set something on ``c``, with a root and all that needs one, and returns the container."""

    def settings(lines: str) -> ContainerSpec:
        return load(f"from haconiwa import define\nc = define()\n{textwrap.dedent(lines)}").containers[0]

    return settings


@pytest.fixture
def problems(load: Callable[[str], BarnSpec]) -> Callable[[str], list[str]]:
    """Loads a text that is wrong and returns what is said about it."""

    def problems(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text)
        return [str(problem) for problem in caught.value.problems]

    return problems


@pytest.fixture
def refused(problems: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """Loads lines that set something wrong on ``c`` from line 3 on, and returns what is said about it."""

    def refused(lines: str) -> list[str]:
        return problems(f"from haconiwa import define\nc = define()\n{textwrap.dedent(lines)}")

    return refused
