"""Checks of several settings together, on records made by hand; tests/unit/dsl/test_refused.py has their words."""

from __future__ import annotations

from typing import Any

import pytest

from haconiwa.errors import Where
from haconiwa.spec.build import BootstrapSpec
from haconiwa.spec.model import (
    BarnSpec,
    CapabilitiesSpec,
    ContainerSpec,
    IdMapping,
    JoinedNamespace,
    MountSpec,
    RootfsSpec,
    UserSpec,
)
from haconiwa.spec.names import STRATEGIES
from haconiwa.spec.validate import MAPPINGS_MAX, validate

WHOLE = (IdMapping(container_id=0, host_id=100000, size=65536),)


def container(**changes: Any) -> ContainerSpec:
    fields = {"name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {}}
    return ContainerSpec(**{**fields, **changes})


def problems(*containers: ContainerSpec) -> list[str]:
    return [problem.what for problem in validate(BarnSpec(file="/web.haco", name="web", containers=containers))]


def mapping(container_id: int, host_id: int, size: int) -> IdMapping:
    return IdMapping(container_id=container_id, host_id=host_id, size=size)


def test_a_plain_container_is_fine() -> None:
    assert problems(container()) == []
    assert problems(container(rootfs=RootfsSpec(path="/r"), namespaces=("mount", "uts"), hostname="web")) == []


def test_problems_of_all_containers_are_told() -> None:
    wrong = CapabilitiesSpec(ambient=frozenset({"sys_admin", "bpf"}))
    assert (
        problems(container(name="a", capabilities=wrong), container(name="b", capabilities=wrong))
        == [
            'capabilities.ambient: "bpf" is not allowed',
            'capabilities.ambient: "sys_admin" is not allowed',
        ]
        * 2
    )


def test_default_pid_files_are_not_compared() -> None:
    assert problems(container(name="a"), container(name="b")) == []


@pytest.mark.parametrize(
    ("mappings", "wrong"),
    [
        ((mapping(0, 0, 10), mapping(10, 10, 10)), []),
        ((mapping(10, 10, 10), mapping(0, 0, 10)), []),
        ((mapping(0, 0, 10), mapping(9, 20, 1)), ["inside"]),
        ((mapping(0, 0, 10), mapping(10, 9, 1)), ["on the host"]),
        ((mapping(0, 0, 1), mapping(0, 0, 1)), ["inside", "on the host"]),
        ((mapping(0, 0, 100), mapping(200, 200, 5), mapping(50, 300, 1)), ["inside"]),
    ],
)
def test_overlaps(mappings: tuple[IdMapping, ...], wrong: list[str]) -> None:
    found = problems(container(namespaces=("user",), uid_mappings=mappings, gid_mappings=WHOLE))
    assert found == [f"namespace.set_uid_mapping: ids {side} overlap" for side in wrong]


@pytest.mark.parametrize("count", [MAPPINGS_MAX, MAPPINGS_MAX + 1])
def test_the_most_lines(count: int) -> None:
    mappings = tuple(mapping(i, i, 1) for i in range(count))
    found = problems(container(namespaces=("user",), uid_mappings=mappings, gid_mappings=WHOLE))
    assert len(found) == (count > MAPPINGS_MAX)


@pytest.mark.parametrize(("uid", "fine"), [(0, True), (65535, True), (65536, False), ("bob", True), (None, True)])
def test_ids_in_a_user_namespace(uid: int | str | None, fine: bool) -> None:
    spec = container(namespaces=("user",), uid_mappings=WHOLE, gid_mappings=WHOLE, user=UserSpec(uid=uid))
    assert (problems(spec) == []) == fine
    assert problems(container(user=UserSpec(uid=uid))) == []


def test_a_joined_namespace_beside_another_kind() -> None:
    joined = (JoinedNamespace(type="net", path="/run/netns/x"),)
    assert problems(container(namespaces=("mount",), joined_namespaces=joined)) == []
    assert problems(container(namespaces=("net",), joined_namespaces=joined)) == [
        'namespace.enter("net"): the container makes one of its own'
    ]


def test_mounts_below_each_other_are_fine() -> None:
    mounts = tuple(MountSpec(kind="bind", source="/s", destination=path) for path in ("/a", "/a/b", "/ab"))
    assert problems(container(mounts=mounts)) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_that_is_skipped_needs_nothing(strategy: str) -> None:
    spec = BootstrapSpec(strategy=strategy, options={}, skip=True)
    assert problems(container(rootfs=RootfsSpec(path="/r"), bootstrap=spec)) == []


def test_a_skip_alone_needs_no_root() -> None:
    where = Where("web.haco", 1)
    sources = {"bootstrap.skip": where, "provision.skip": where, "skip_bootstrap": where}
    assert problems(container(sources=sources)) == []
