"""The settings are typed: two checkers accept the examples, reject every wrong use, and the examples load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from haconiwa.dsl.load import load_file

FOLDER = Path(__file__).parent
TREE = FOLDER.parents[1]
FILES = [FOLDER / "example.py", FOLDER / "barn.py", FOLDER / "wrong_uses.py"]


def test_mypy() -> None:
    pytest.importorskip("mypy")
    argv = [sys.executable, "-m", "mypy", "--config-file", str(TREE / "pyproject.toml"), *map(str, FILES)]
    result = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, check=False)
    assert result.stdout.startswith("Success: "), result.stdout + result.stderr


def test_basedpyright(tmp_path: Path) -> None:
    program = shutil.which("basedpyright", path=str(Path(sys.executable).parent)) or shutil.which("basedpyright")
    if program is None:
        pytest.skip('lacks "basedpyright"')
    config = {
        "include": [str(path) for path in FILES],
        "extraPaths": [str(TREE / "src")],
        "pythonVersion": "3.11",
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": True,
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    argv = [program, "--project", str(tmp_path / "pyrightconfig.json")]
    result = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["example.py", "barn.py"])
def test_the_examples_load(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_CONFIG", str(tmp_path / "none"))
    path = shutil.copy(FOLDER / name, tmp_path / f"{name}.haco.py")
    assert load_file(str(path)).containers


def test_every_setting_is_in_an_example() -> None:
    from haconiwa.dsl.builder import Definition
    from haconiwa.dsl.seccomp import Filter
    from haconiwa.dsl.sections import SECTIONS

    text = "".join((FOLDER / name).read_text() for name in ("example.py", "barn.py"))
    names = {name for kind in (Definition, Filter, *SECTIONS) for name in dir(kind) if not name.startswith("_")}
    assert sorted(name for name in names if name not in text) == []
