"""Records: frozen, equal by value, with defaults, and plain for JSON."""

from __future__ import annotations

import json

import pytest

from haconiwa.errors import Where
from haconiwa.spec.model import BarnSpec, ContainerSpec, HookSpec, MountSpec, RlimitSpec
from haconiwa.spec.record import Record, replace, to_plain


class Point(Record):
    x: int
    y: int = 0


class Named(Point):
    name: str = "origin"


def test_defaults_and_inherited_fields() -> None:
    named = Named(x=1)
    assert (named.x, named.y, named.name) == (1, 0, "origin")
    assert repr(named) == "Named(x=1, y=0, name='origin')"


def test_equality_and_hash_go_by_value_and_class() -> None:
    assert Point(x=1) == Point(x=1, y=0) != Point(x=2)
    assert hash(Point(x=1)) == hash(Point(x=1, y=0))
    assert Point(x=1) != Named(x=1)
    assert Point(x=1) != (1, 0)


def test_nothing_can_be_changed_or_added() -> None:
    point = Point(x=1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match="Point is frozen"):
            setattr(point, name, 2)


def test_missing_and_unknown_fields() -> None:
    with pytest.raises(TypeError, match='Point lacks "x"'):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Point has no \['z'\]"):
        Point(x=1, z=2)  # type: ignore[call-arg]


def test_a_copy_with_changes() -> None:
    assert replace(Named(x=1, name="a"), y=5) == Named(x=1, y=5, name="a")


def test_a_whole_barn_as_json() -> None:
    where = Where("web.haco", 3)
    container = ContainerSpec(
        name="web",
        environ={"A": "b"},
        stdio={},
        metadata={},
        sources={"name": where},
        mounts=(MountSpec(kind="bind", source="/a", destination="/b", where=where),),
        rlimits=(RlimitSpec(name="CPU", soft=None, hard=None),),
        hooks=(HookSpec(point="setup", function=print, on_error="abort"),),
    )
    plain = json.loads(json.dumps(to_plain(BarnSpec(file="/web.haco", name="web", containers=(container,)))))
    (shown,) = plain["containers"]
    assert shown["environ"] == {"A": "b"}
    assert shown["sources"] == {"name": "web.haco:3"}
    assert shown["mounts"][0]["where"] == "web.haco:3"
    assert shown["hooks"][0]["function"] == "print"
    assert shown["capabilities"]["bounding"] == sorted(shown["capabilities"]["bounding"])
