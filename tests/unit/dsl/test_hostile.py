"""Whatever is given to whatever setting: a spec of plain types, or a problem with its line; never a traceback."""
# ruff: noqa: E501 - tables are easier to read with one row a line
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportAssignmentType=false
# mypy: disable-error-code="misc, override, assignment, call-arg, attr-defined"

from __future__ import annotations

import enum
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.load import load_file
from haconiwa.dsl.sections import SECTIONS
from haconiwa.errors import ConfigError, Where
from haconiwa.spec.model import BarnSpec
from haconiwa.spec.record import Record


class Evil:
    """Raises whatever is asked of it."""

    def _raise(self, *_arguments: object, **_more: object) -> Any:
        raise ValueError("evil")

    __eq__ = __str__ = __repr__ = __index__ = __int__ = __float__ = __fspath__ = __bool__ = __len__ = _raise
    __iter__ = __getitem__ = __contains__ = __format__ = __lt__ = __add__ = __radd__ = __call__ = _raise
    __getattr__ = __enter__ = __exit__ = __bytes__ = __reversed__ = keys = items = _raise

    def __hash__(self) -> int:
        raise ValueError("evil")


class EvilMeta(type):
    @property
    def __name__(cls) -> str:
        raise ValueError("evil")

    def __instancecheck__(cls, instance: object) -> bool:
        raise ValueError("evil")


class EvilClass(metaclass=EvilMeta):
    @property
    def __class__(self) -> Any:
        raise ValueError("evil")


class EvilStr(str):
    __slots__ = ()

    def _raise(self, *_arguments: object) -> Any:
        raise ValueError("evil")

    __eq__ = __str__ = __repr__ = __len__ = __getitem__ = __contains__ = __iter__ = __format__ = _raise
    isprintable = encode = strip = split = lower = startswith = _raise

    def __hash__(self) -> int:
        raise ValueError("evil")


class EvilInt(int):
    def _raise(self, *_arguments: object) -> Any:
        raise ValueError("evil")

    __eq__ = __index__ = __int__ = __repr__ = __str__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = _raise

    def __hash__(self) -> int:
        raise ValueError("evil")


class EvilList(list[Any]):
    def __iter__(self) -> Any:
        raise ValueError("evil")


class EvilDict(dict[Any, Any]):
    def items(self) -> Any:
        raise ValueError("evil")


class EvilPath:
    def __init__(self, path: object) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


class EvilError(Exception):
    def __str__(self) -> str:
        raise EvilError


class RaisingPath:
    def __fspath__(self) -> str:
        raise EvilError


class Number(enum.IntEnum):
    ONE = 1


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)

HOSTILE = [
    Evil(), Evil, EvilClass(), EvilClass, EvilStr("web"), EvilStr(""), EvilInt(7), EvilInt(-1), EvilList(["a"]),
    EvilDict({"A": "b"}), EvilPath("/x"), EvilPath(b"/x"), EvilPath(None), EvilPath(EvilStr("/x")), RaisingPath(),
    Number.ONE, RECURSIVE, {"a": RECURSIVE}, 10**5000, -(10**5000), "1" * 5000, "\ud800", "\udcff", "a\0b", "\x1b[2J",
    float("nan"), float("inf"), b"bytes", bytearray(b"x"), lambda: 0, lambda base: base, iter("ab"), range(10**9),
    type, object(), NotImplemented, ..., {Number.ONE}, frozenset(), 1j, memoryview(b"x"), types.SimpleNamespace(),
]  # fmt: skip


class Hostile:
    """Stands for an item of `HOSTILE`, whose objects hypothesis itself could not handle."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Hostile({self.number})"


def expand(value: Any) -> object:
    """The value with the real objects in it."""
    if type(value) is Hostile:
        return HOSTILE[value.number]
    if type(value) in (list, tuple):
        return type(value)(expand(item) for item in value)
    if type(value) is dict:
        return {key: expand(item) for key, item in value.items()}
    return value


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.integers(0, len(HOSTILE) - 1).map(Hostile)
)  # fmt: skip
WORDS = st.sampled_from(
    ["/", "/r", "/r/x", "..", "web", "unlimited", "all", "host", "mount", "user", "NOFILE", "USR1", "0"]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(max_size=3) | WORDS, inner, max_size=3)
    ),
    max_leaves=4,
)


def targets() -> list[tuple[str, str]]:
    """Everything that can be set or called, as (expression, name)."""
    owners = [("c", Definition), *((f"c.{kind._section}", kind) for kind in SECTIONS)]
    return [
        (owner, name)
        for owner, kind in owners
        for name in dir(kind)
        if not name.startswith("_") and not isinstance(getattr(kind, name), property)
    ]


PLAIN = (str, int, float, bool, type(None), Where)


def assert_plain(value: Any) -> None:
    """Nothing of the user's is left in a spec but functions."""
    if isinstance(value, Record):
        for name in value._fields:
            assert_plain(getattr(value, name))
    elif type(value) in (tuple, frozenset):
        for item in value:
            assert_plain(item)
    elif type(value) is dict:
        for key, item in value.items():
            assert type(key) is str
            assert_plain(item)
    else:
        assert type(value) in PLAIN or callable(value)


def check(tmp_path: Path, line: str, values: object) -> None:
    """Run one line on a container with the values in reach: it is refused with its place, or the spec is plain."""
    spec = load(tmp_path, line, values)
    if spec is not None:
        assert_plain(spec)


def load(tmp_path: Path, line: str, values: object) -> BarnSpec | None:
    """Load a file of one line; None when it was refused."""
    module = types.ModuleType("hostile_values")
    vars(module).update(v=values)
    sys.modules["hostile_values"] = module
    path = tmp_path / "test.haco"
    path.write_text(f"from haconiwa import define\nfrom hostile_values import v\nc = define()\n{line}\n")
    try:
        return load_file(str(path))
    except ConfigError as error:
        for problem in error.problems:
            assert problem.where is not None
            assert problem.where.line == 4
            assert str(problem).isprintable()
        return None
    finally:
        del sys.modules["hostile_values"]


RELAXED = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize(("owner", "name"), targets(), ids=lambda part: part)
@RELAXED
@given(value=VALUES)
def test_assigning_anything(tmp_path: Path, owner: str, name: str, value: object) -> None:
    check(tmp_path, f"{owner}.{name} = v", expand(value))


ARGUMENTS = {
    "add_async_hook": ["v[0], sec=v[1]", "v[0], sec=1, interval_msec=v[1], limit_count=v[2]", "print, msec=v[0], hour=v[1]"],
    "after_spawn": ["v[0], sec=v[1]"],
    "add_mount_point": ["v[0], to=v[1]", "'/a', to='/b', fs=v[0], options=v[1], data=v[2]", "'/a', to='/b', readonly=v[0], optional=v[1], recursive=v[2]"],
    "mount_independent": ["v[0], host=v[1]", "'procfs', hidepid=v[0]", "*v"],
    "mount_network_etc": ["v[0], host_root=v[1]"],
    "rootfs_owner": ["uid=v[0], gid=v[1]"],
    "set_uid_mapping": ["min=v[0], max=v[1], offset=v[2]"],
    "set_gid_mapping": ["min=v[0], max=v[1], offset=v[2]"],
    "set_stdin": ["file=v[0]", "host_file=v[0]"],
    "set_stdout": ["file=v[0]", "host_file=v[0]"],
    "set_stderr": ["file=v[0]", "host_file=v[0]"],
    "add_general_hook": ["v[0], v[1]", "'setup', v[0], on_error=v[1]", "v[0]"],
}  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), targets(), ids=lambda part: part)
@RELAXED
@given(values=st.tuples(VALUES, VALUES, VALUES))
def test_calling_with_anything(tmp_path: Path, owner: str, name: str, values: tuple[object, ...]) -> None:
    for arguments in ARGUMENTS.get(name, ["*v[:1]", "*v[:2]", "*v"]):
        check(tmp_path, f"{owner}.{name}({arguments})", expand(values))


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=lambda number: f"hostile-{number}")
def test_each_hostile_object_everywhere(tmp_path: Path, number: int) -> None:
    value = HOSTILE[number]
    for owner, name in targets():
        check(tmp_path, f"{owner}.{name} = v", value)
        for arguments in ARGUMENTS.get(name, ["*v[:1]", "*v[:2]", "*v"]):
            check(tmp_path, f"{owner}.{name}({arguments})", (value, value, value))


@RELAXED
@given(data=st.binary(max_size=200))
def test_any_bytes_as_a_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "test.haco"
    path.write_bytes(b"raise SystemExit\n" + data)
    with pytest.raises(ConfigError):
        load_file(str(path))
