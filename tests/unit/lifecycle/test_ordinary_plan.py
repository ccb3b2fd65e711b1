"""What an ordinary user's start does in another order, or leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from haconiwa.errors import ConfigError
from haconiwa.host.cgroups import Hierarchy
from haconiwa.isolation.devices import MountPrivateDev
from haconiwa.isolation.own_maps import WriteOwnIdMaps
from haconiwa.isolation.step import CHILD, PARENT, SUPERVISOR
from haconiwa.lifecycle.attach import AttachRequest, JoinUserNamespace, plan_attach
from haconiwa.lifecycle.plan import plan_start, warnings
from haconiwa.lifecycle.state import State
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.model import ContainerSpec, IdMapping, MountSpec, RootfsSpec
from haconiwa.spec.record import to_plain

OWN = (IdMapping(container_id=0, host_id=1000, size=1),)


def spec(**values: Any) -> ContainerSpec:
    defaults: dict[str, Any] = {
        "name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {}, "unprivileged": True,
        "namespaces": ("mount", "ipc", "uts", "pid", "user"), "uid_mappings": OWN, "gid_mappings": OWN,
        "rootfs": RootfsSpec(path="/srv/web", idmap=False),
        "mounts": (
            MountSpec(kind="devtmpfs", source="tmpfs", destination="/dev"),
            MountSpec(kind="bind", source="/srv/data", destination="/data"),
        ),
    }  # fmt: skip
    return ContainerSpec(**{**defaults, **values})


def test_it_opens_between_the_maps_and_becoming_root() -> None:
    steps = [step.describe() for step in plan_start(spec(), ()) if step.place == CHILD]
    order = [
        "wait for the id maps",
        'open the root file system "/srv/web"',
        'open "/srv/data" to bind it on "/data"',
        "become root of the user namespace",
        "make all mounts private",
    ]
    assert [step for step in steps if step in order] == order


def test_the_supervisor_opens_nothing_and_lets_nothing_go() -> None:
    steps = [step for step in plan_start(spec(), ()) if step.place in (SUPERVISOR, PARENT)]
    assert [step.describe() for step in steps if "open" in step.describe()] == []
    assert [type(step) for step in steps if step.place == PARENT] == [WriteOwnIdMaps]


def test_nodes_are_bound_and_no_rules_are_made() -> None:
    steps = plan_start(spec(), ())
    assert [step.binds_nodes for step in steps if isinstance(step, MountPrivateDev)] == [True]
    assert not any("restrict the devices" in step.describe() for step in steps)


def test_groups_that_are_not_its_own_are_not_used() -> None:
    hierarchy = Hierarchy(version=2, mount_point="/nowhere", base="/nowhere")
    steps = plan_start(spec(), (hierarchy,))
    assert not any("cgroup" in step.describe() for step in steps if step.place == CHILD)
    assert warnings(steps, "web")[0].startswith("warning: web: no cgroup here is yours, so the container has none")


def test_a_limit_without_a_group_is_refused() -> None:
    setting = CgroupSetting(key="memory.max", lines=("1",))
    with pytest.raises(ConfigError) as caught:
        plan_start(spec(cgroup=CgroupSpec(settings=(setting,))), ())
    assert "no cgroup here is yours" in str(caught.value)


def attach_steps(**values: Any) -> list[Any]:
    state = State(name="web", haco_file="/web.haco", status="running", config=to_plain(spec(**values)))
    return plan_attach(state, AttachRequest(environ={}))[1]


def test_attach_hides_before_anything_could_look_at_it() -> None:
    steps = attach_steps()
    joining = [step for step in steps if isinstance(step, JoinUserNamespace)]
    assert [step.place for step in joining] == [SUPERVISOR]
    described = [step.describe() for step in steps]
    assert described.index("enter the container's user and pid namespaces") == max(
        number for number, step in enumerate(steps) if step.place == SUPERVISOR
    )
    assert "enter the container's namespaces mount ipc uts" in described
    assert "return to the supervisor's own pid namespace" not in described


@pytest.mark.parametrize("keeps_groups", [True, False])
def test_attach_knows_whether_groups_can_be_set(keeps_groups: bool) -> None:
    steps = attach_steps(keeps_groups=keeps_groups)
    assert {step.keeps_groups for step in steps if hasattr(step, "keeps_groups")} == {keeps_groups}
