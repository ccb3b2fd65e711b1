"""The house rules that no other tool checks."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SOURCE = TREE / "src"
SOURCES = sorted(SOURCE.rglob("*.py"))

# Written so that it does not match itself.
FORBIDDEN = re.compile(
    r"/wor[k]/|\.\./share[d]|/roo[t]/\.pyenv|/opt/(?:pyp[i]|wheel[s])|npmj[s]|pyp[i]\.|pythonhoste[d]|deb\.debia[n]"
)


def relative(path: Path) -> str:
    return str(path.relative_to(TREE))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_everything_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_bytes())
    assert not tree.body or ast.get_docstring(tree), f"{relative(path)} has no docstring"
    assert list(undocumented(tree.body)) == []


def undocumented(body: list[ast.stmt], owner: ast.ClassDef | None = None) -> Iterator[str]:
    """The public classes, functions and methods without a docstring of their own or of a method they override."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        overload = any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
        if ast.get_docstring(node) is None and not overload and not (owner and node.name in inherited(owner)):
            yield f"{owner.name + '.' if owner else ''}{node.name} (line {node.lineno})"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, node)


def inherited(owner: ast.ClassDef) -> set[str]:
    """The names of the methods that are documented by the classes below a class, ours or Python's own."""
    names: set[str] = set()
    for base in owner.bases:
        name = ast.unparse(base).rpartition(".")[2].partition("[")[0]
        names |= set(dir(getattr(builtins, name, None) or getattr(collections.abc, name, None)))
        for definition in CLASSES.get(name, []):
            methods = [node for node in definition.body if isinstance(node, ast.FunctionDef)]
            names |= {node.name for node in methods if ast.get_docstring(node)}
            names |= inherited(definition) if definition is not owner else set()
    return names


CLASSES: dict[str, list[ast.ClassDef]] = {}
for _path in SOURCES:
    for _node in ast.walk(ast.parse(_path.read_bytes())):
        if isinstance(_node, ast.ClassDef):
            CLASSES.setdefault(_node.name, []).append(_node)


def test_an_overriding_method_may_leave_the_docstring_to_the_other() -> None:
    def found(text: str) -> list[str]:
        return list(undocumented(ast.parse(text).body))

    assert found("def plain(): pass") == ["plain (line 1)"]
    assert found("def _private(): pass") == []
    assert found("@overload\ndef variant(): pass") == []
    assert found("class A:\n  'Text.'\n  def f(self): pass") == ["A.f (line 3)"]
    assert found("class A(list[int]):\n  'Text.'\n  def append(self, x): pass") == []
    assert found("class A(HaconiwaError):\n  'Text.'\n  def lines(self): pass\n  def other(self): pass") == [
        "A.other (line 4)"
    ]


def test_the_tree_names_no_machine_and_no_registry() -> None:
    found = [
        f"{relative(path)}:{number}: {match[0]}"
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        for match in FORBIDDEN.finditer(line)
    ]
    assert found == []


def project_files() -> Iterator[Path]:
    """The files of the project: not those of tools, which are in directories with a dot, nor bytecode."""
    for parent, directories, files in os.walk(TREE):
        directories[:] = [name for name in directories if name == ".ci" or name[0] not in "._"]
        if parent == str(TREE):
            directories[:] = [name for name in directories if name not in ("dist", "build")]
        yield from (Path(parent, name) for name in files if not name.startswith(".coverage"))


def test_the_version_is_the_same_everywhere() -> None:
    import tomllib

    import haconiwa

    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == haconiwa.__version__
