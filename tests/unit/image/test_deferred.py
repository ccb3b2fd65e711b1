"""Functions that are taken out of modules and made when they are called."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from haconiwa import image
from haconiwa.image import Deferred
from haconiwa.image.writing import Deferring, compile_bare

MODULE = "deferred_here"
PADDING = "    text = 'so long that it is worth it: ' + repr([number * 2 for number in range(3)]) + 'and so on' * 2\n"
SOURCE = f"""\
FACTOR = 3


def plain(one, two=2, *rest, three=3, **others):
{PADDING}    return one * FACTOR, two, rest, three, others


def small(one):
    return one


def with_a_computed_default(one=FACTOR):
{PADDING}    return one


class Base:
    def method(self, one=1):
    {PADDING}        return self, one

    @property
    def value(self):
    {PADDING}        return self

    @staticmethod
    def static(one):
    {PADDING}        return one

    @classmethod
    def of_class(cls):
    {PADDING}        return cls


class Derived(Base):
    def method(self, one=5):
    {PADDING}        return super().method(one)


def generator():
{PADDING}    yield from (1, 2)


def failing():
{PADDING}    raise RuntimeError(text)
"""


class Loaded:
    """The module above, loaded as a start does."""

    def __init__(self, path: Path, called: frozenset[tuple[str, str]] = frozenset()) -> None:
        path.write_text(SOURCE)
        self.names: list[tuple[str, str]] = []
        deferring = Deferring(len(image._stored), called, self.names)
        code = compile_bare(str(path), deferring, MODULE)
        image._stored.append(bytes(deferring.stored))
        module: Any = types.ModuleType(MODULE)
        module.__deferred__ = partial(Deferred, image._make_and_call)
        sys.modules[MODULE] = module
        exec(code, module.__dict__)
        self.module: Any = module

    def is_deferred(self, name: str, owner: str = "") -> bool:
        found = vars(getattr(self.module, owner) if owner else self.module)[name]
        return isinstance(getattr(found, "fget", None) or getattr(found, "__func__", None) or found, Deferred)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    before = dict(image._made), list(image._stored)
    yield Loaded(tmp_path / "module.py")
    del sys.modules[MODULE]
    image._made.clear()
    image._made.update(before[0])
    image._stored[:] = before[1]


def test_which_are_taken_out(loaded: Loaded) -> None:
    names = ("plain", "Base.method", "Base.value", "Base.static", "Base.of_class", "generator", "failing")
    assert loaded.names == [(MODULE, name) for name in names]
    assert all(loaded.is_deferred(name) for name in ("plain", "generator", "failing"))
    assert all(loaded.is_deferred(name, "Base") for name in ("method", "value", "static", "of_class"))
    assert not loaded.is_deferred("small")
    assert not loaded.is_deferred("with_a_computed_default")
    assert not loaded.is_deferred("method", "Derived")


def test_those_that_starts_call_stay(tmp_path: Path, loaded: Loaded) -> None:
    again = Loaded(tmp_path / "module.py", frozenset({(MODULE, "plain"), (MODULE, "Base.method")}))
    assert not again.is_deferred("plain")
    assert not again.is_deferred("method", "Base")
    assert len(again.names) == len(loaded.names) - 2


def test_functions_do_what_they_did(loaded: Loaded) -> None:
    module = loaded.module
    assert module.plain(1) == (3, 2, (), 3, {})
    assert module.plain(1, 5, 6, three=7, four=8) == (3, 5, (6,), 7, {"four": 8})
    assert list(module.generator()) == [1, 2]
    module.FACTOR = 4
    assert module.plain(1)[0] == 4


def test_methods_do_what_they_did(loaded: Loaded) -> None:
    base, derived = loaded.module.Base(), loaded.module.Derived()
    assert base.method() == (base, 1)
    assert derived.method() == (derived, 5)
    assert base.value is base
    assert (base.static(3), base.of_class()) == (3, loaded.module.Base)
    assert loaded.module.Base.method is loaded.module.Base.method


def test_asked_for_what_functions_have(loaded: Loaded) -> None:
    assert loaded.module.plain.__name__ == "plain"
    assert loaded.module.plain.__code__.co_varnames[:2] == ("one", "two")
    assert loaded.module.Base.method.__qualname__ == "Base.method"


def test_messages_name_them_as_they_were_named(loaded: Loaded) -> None:
    vars(loaded.module.Base)["method"].__qualname__ = "section.method"
    with pytest.raises(
        TypeError, match=r"^section\.method\(\) takes from 1 to 2 positional arguments but 4 were given$"
    ):
        loaded.module.Base().method(1, 2, 3)


def test_errors_show_their_lines(loaded: Loaded) -> None:
    with pytest.raises(RuntimeError) as caught:
        loaded.module.failing()
    assert caught.traceback[-1].frame.code.path == Path(loaded.module.failing.__code__.co_filename)
    assert SOURCE.splitlines()[caught.traceback[-1].lineno].strip() == "raise RuntimeError(text)"
