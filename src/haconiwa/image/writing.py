"""How the image is written: what is left out of the modules, and in which order they lie. See `haconiwa.image`."""

from __future__ import annotations
import __future__

import ast
import marshal  # noqa: TID251 - what Python itself uses for compiled code, under the same trust
import os
import sys
from copy import copy
from types import CodeType
from typing import TYPE_CHECKING, Any

from haconiwa.image import LAST, MAGIC, MAIN, NUMBER_SIZE, PACKAGE, PATH
from haconiwa.image.sources import sources_of_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.image import Finder, Piece, Segment, Source

_TOGETHER = 12
"""How many modules are read at once: each read costs 10 µs, and one of all would be of memory never used again."""
_WORTH_DEFERRING = 200  # bytes of code: what takes the place of a smaller function is as large
_HARMLESS_DECORATORS = ("classmethod", "property", "staticmethod")
_MADE_BY_TYPE = ("__new__", "__init_subclass__", "__class_getitem__")  # `type` looks whether they are functions
_DEFERRED = "__deferred__"
_FLAGS = __future__.annotations.compiler_flag


class Deferring:
    """Takes functions out of modules that are read together, and keeps their code.

    Args:
        segment: Which of all that are read one after the other.
        called: Module and name of the functions that starts call; these stay. None where that is not known.
        names: Of all that were taken out so far, in any modules; added to.

    Attributes:
        stored: The code of those taken out, one after the other.
    """

    def __init__(self, segment: int, called: frozenset[tuple[str, str]], names: list[tuple[str, str]]) -> None:
        self._segment = segment
        self._called = called
        self._names = names
        self.stored = bytearray()

    def take_out(self, module: str, path: str, body: list[ast.stmt], owner: str = "") -> None:
        """Put a call that makes a `Deferred` in the place of each function of a module, or a class of it.

        Args:
            module: Its name.
            path: Of its source.
            body: Of the module or class; changed.
            owner: The class with a dot behind it.
        """
        for at, node in enumerate(body):
            if isinstance(node, ast.ClassDef):
                self.take_out(module, path, node.body, f"{owner}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                name = (module, owner + node.name)
                if name not in self._called and (content := _function_alone(node, path, name[1])):
                    place = len(self._names), self._segment, len(self.stored), len(content), module
                    self.stored += content
                    self._names.append(name)
                    body[at] = _in_its_place(node, place)


def _function_alone(node: ast.FunctionDef, path: str, qualified_name: str) -> bytes | None:
    """The code of a function with its defaults; None if it is small, or needs more around it than its module."""
    known = all(isinstance(word, ast.Name) and word.id in _HARMLESS_DECORATORS for word in node.decorator_list)
    if not known or node.name in _MADE_BY_TYPE:
        return None
    try:
        defaults = tuple(ast.literal_eval(default) for default in node.args.defaults)
        pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        keyword_defaults = {word.arg: ast.literal_eval(default) for word, default in pairs if default is not None}
    except ValueError:
        return None
    alone = copy(node)
    alone.decorator_list = []
    alone.args = copy(node.args)
    alone.args.defaults, alone.args.kw_defaults = [], [None] * len(node.args.kwonlyargs)
    tree = ast.Module([alone], type_ignores=[])
    (code,) = (const for const in _compile(tree, path).co_consts if isinstance(const, CodeType))
    if {"super", "__class__"} & {*code.co_names, *code.co_freevars}:
        return None
    content = marshal.dumps((code.replace(co_qualname=qualified_name), defaults or None, keyword_defaults or None))
    return content if len(content) >= _WORTH_DEFERRING else None


def _in_its_place(node: ast.FunctionDef, place: tuple[int, int, int, int, str]) -> ast.stmt:
    value = ast.parse(f"{_DEFERRED}({place!r})", mode="eval").body
    for decorator in reversed(node.decorator_list):
        value = ast.Call(decorator, [value], [])
    statement = ast.Assign([ast.Name(node.name, ast.Store())], value)
    return ast.fix_missing_locations(ast.copy_location(statement, node))


def write_image(finder: Finder | None) -> None:
    """Write it, with the modules in the order in which this process has loaded them.

    Args:
        finder: What this process has loaded them with; if it tells which functions were called, these are not deferred.
    """
    names = list(sys.modules)
    loaded = names[names.index(f"{PACKAGE}.image") + 1 : names.index(LAST) + 1]
    order = [name for name in loaded if _origin(name).endswith(".py") and name != __name__]
    cut = order.index(MAIN) + 1
    called = finder.called() if finder else frozenset()
    content = bytearray()

    def add(value: Any) -> Piece:
        data = marshal.dumps(value)
        content.extend(data)
        return len(content) - len(data), len(data)

    deferred: list[tuple[str, str]] = []
    segments: dict[str, list[Segment]] = {MAIN: [], LAST: []}
    groups = [*_groups(MAIN, order[:cut]), *_groups(LAST, order[cut:])]
    for number, (last, group) in enumerate(groups):
        deferring = Deferring(number, called, deferred)
        codes = tuple(compile_bare(_origin(name), deferring, name) for name in group)
        segments[last].append((group, *add((codes, bytes(deferring.stored)))))
    others = {name: (_source(path), add(compile_bare(path))) for name, path in sources_of_package()}
    sources = {name: _source(_origin(name)) for name in order}
    table = marshal.dumps((segments, sources, add(others), () if finder else tuple(deferred)))
    size = len(MAGIC) + 2 * NUMBER_SIZE + len(table) + len(content)
    _replace(MAGIC + len(table).to_bytes(NUMBER_SIZE) + size.to_bytes(NUMBER_SIZE) + table + content)


def _groups(last: str, names: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for at in range(0, len(names), _TOGETHER):
        yield last, tuple(names[at : at + _TOGETHER])


def _source(path: str) -> Source:
    status = os.stat(path)
    return path, os.path.basename(path) == "__init__.py", status.st_size, status.st_mtime_ns


def _replace(content: bytes) -> None:
    temporary = f"{PATH}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(fd, "wb") as file:
            file.write(content)
        os.replace(temporary, PATH)
    except OSError:
        return  # a folder that may not be written to has no .pyc files either


def _origin(name: str) -> str:
    return getattr(sys.modules[name], "__file__", None) or ""


def compile_bare(path: str, deferring: Deferring | None = None, module: str = "") -> CodeType:
    """The code of a source file without docstrings, assertions and annotations of functions: a third less to load.

    Args:
        path: Of a module whose annotations of functions nobody looks at; those of classes are what records are made of.
        deferring: Takes functions out of it.
        module: Its name, for that.
    """
    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")]
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    if deferring:
        deferring.take_out(module, path, tree.body)
    return _compile(tree, path)


def _compile(tree: Any, path: str) -> CodeType:
    code: CodeType = compile(tree, path, "exec", _FLAGS, dont_inherit=True, optimize=2)
    return code
