"""Which tree it is that the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.program import TREE, foreign_package


@pytest.fixture
def python(tmp_path: Path) -> str:
    """The interpreter of an environment in which another tree is installed, beside what the tests need."""
    environment, source = tmp_path / "venv", tmp_path / "elsewhere/src"
    venv.create(environment)
    (source / "haconiwa").mkdir(parents=True)
    (source / "haconiwa/__init__.py").touch()
    (environment / "bin/haconiwa").touch()
    (packages,) = (environment / "lib").glob("python*/site-packages")
    paths = f"{source}\n{sysconfig.get_path('purelib')}\n"
    (packages / "elsewhere.pth").write_text(paths, encoding="utf-8")
    return str(environment / "bin/python")


def test_this_tree_is_the_one() -> None:
    assert foreign_package(sys.executable) == ""


def test_another_tree_is_refused_at_once(python: str, tmp_path: Path) -> None:
    other = os.path.realpath(tmp_path / "elsewhere/src/haconiwa")
    assert foreign_package(python) == other
    tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "tests/unit/test_errors.py"]
    done = subprocess.run(tests, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f'runs "{other}", not "{TREE}"' in done.stderr
    assert "passed" not in done.stdout
    os.unlink(os.path.join(os.path.dirname(python), "haconiwa"))
    assert foreign_package(python) == ""
