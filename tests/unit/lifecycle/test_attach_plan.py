"""The order of an attach: what is entered before the child exists, and what by the child."""

from __future__ import annotations

import pytest

from haconiwa.isolation.step import SUPERVISOR
from haconiwa.lifecycle.attach import (
    AttachRequest,
    JoinNamespaces,
    JoinPidNamespace,
    LeaveMountNamespace,
    VisitMountNamespace,
    plan_attach,
)
from haconiwa.lifecycle.imports import KeepTimeZone, RefuseImports
from haconiwa.lifecycle.state import State
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import to_plain


def planned(*namespaces: str, **request: object) -> list[object]:
    spec = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}, namespaces=namespaces)  # type: ignore[arg-type]
    state = State(name="web", haco_file="/web.haco", status="running", config=to_plain(spec))
    return list(plan_attach(state, AttachRequest(environ={}, **request))[1])  # type: ignore[arg-type]


def position(steps: list[object], kind: type) -> int:
    return next(number for number, step in enumerate(steps) if type(step) is kind)


def test_the_child_never_has_the_hosts_root_where_the_container_could_look_at_it() -> None:
    steps = planned("mount", "pid", "uts")
    join = steps[position(steps, JoinNamespaces)]
    assert isinstance(join, JoinNamespaces)
    assert join.names == ("uts",)
    visit = steps[position(steps, VisitMountNamespace)]
    assert isinstance(visit, VisitMountNamespace)
    assert visit.place == SUPERVISOR
    assert position(steps, VisitMountNamespace) < position(steps, JoinPidNamespace)


def test_the_hosts_mounts_come_back_before_anything_is_opened_by_path() -> None:
    steps = [step for step in planned("mount", "pid") if getattr(step, "place", "") == "parent"]
    assert type(steps[0]) is LeaveMountNamespace


def test_with_a_user_namespace_the_child_enters_all_at_once() -> None:
    steps = planned("mount", "pid", "user")
    join = steps[position(steps, JoinNamespaces)]
    assert isinstance(join, JoinNamespaces)
    assert join.names == ("mount", "user")
    assert not any(isinstance(step, VisitMountNamespace) for step in steps)


@pytest.mark.parametrize("namespaces", [("mount", "pid"), ("mount", "user"), ("uts",), ()])
def test_the_time_zone_is_the_hosts_and_nothing_is_imported_inside(namespaces: tuple[str, ...]) -> None:
    steps = planned(*namespaces)
    entering = [n for n, step in enumerate(steps) if isinstance(step, (VisitMountNamespace, JoinNamespaces))]
    assert position(steps, KeepTimeZone) < min(entering, default=len(steps))
    joins = [n for n in entering if isinstance(steps[n], JoinNamespaces)]
    assert position(steps, RefuseImports) < min(joins, default=len(steps))
