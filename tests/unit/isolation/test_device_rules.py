"""Which devices a container may use, and where that is written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from haconiwa.errors import ConfigError, HaconiwaError, Where
from haconiwa.host.cgroups import Hierarchy
from haconiwa.isolation import device_rules
from haconiwa.isolation.device_program import device_program
from haconiwa.isolation.device_rules import DEFAULT_RULES, NODE_RULES, RestrictDevices
from haconiwa.isolation.step import Site
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.devices import DeviceSpec
from haconiwa.spec.model import ContainerSpec, MountSpec, RootfsSpec

if TYPE_CHECKING:
    from haconiwa.isolation.device_rules import Rule

V1 = (Hierarchy(version=1, mount_point="/cg/devices", controllers=("devices",)),)
V2 = (Hierarchy(version=2, mount_point="/cg"),)
DEV = MountSpec(kind="devtmpfs", source="", destination="/dev")
HOST_DEV = MountSpec(kind="devtmpfs", source="", destination="/dev", host=True)
FUSE = DeviceSpec(path="/dev/fuse", type="c", major=10, minor=229)


def container(*settings: tuple[str, tuple[str, ...]], **fields: Any) -> ContainerSpec:
    cgroup = CgroupSpec(
        settings=tuple(CgroupSetting(key=key, lines=lines, where=Where("web.haco", 7)) for key, lines in settings)
    )
    common = {"name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {}, "cgroup": cgroup}
    return ContainerSpec(**{**common, **fields})


ROOTED: dict[str, Any] = {"rootfs": RootfsSpec(path="/srv")}


@pytest.mark.parametrize(
    ("spec", "extra"),
    [
        (container(**ROOTED), ()),
        (container(mounts=(DEV,)), ()),
        (container(**ROOTED, devices=(FUSE,)), (("c", 10, 229, "rwm"),)),
        (container(("devices.allow", ("b 7:* r",)), **ROOTED), (("b", 7, None, "r"),)),
        (container(("devices.allow", ("c 1:11 r",))), (("c", 1, 11, "r"),)),  # asked for without a root
    ],
)
def test_harmless_devices_and_what_is_asked_for(spec: ContainerSpec, extra: tuple[Rule, ...]) -> None:
    assert device_rules.device_rules(spec) == (*DEFAULT_RULES, *extra)


@pytest.mark.parametrize(
    "spec",
    [
        container(),
        container(**ROOTED, mounts=(HOST_DEV,)),
        container(("devices.allow", ("a",)), **ROOTED),
        container(("devices.allow", ("a", "c 1:1 r")), **ROOTED),
    ],
)
def test_every_device(spec: ContainerSpec) -> None:
    assert device_rules.device_rules(spec) is None
    assert device_rules.plan(spec, "web", V1, {}) == []


def test_denying() -> None:
    only = container(("devices.deny", ("a",)), ("devices.allow", ("c 1:3 rw",)), **ROOTED)
    assert device_rules.device_rules(only) == (*NODE_RULES, ("c", 1, 3, "rw"))
    part = container(("devices.deny", ("c 5:0 w", "c 136:* rwm")), **ROOTED)
    rules = device_rules.device_rules(part)
    assert rules is not None
    assert ("c", 5, 0, "rm") in rules
    assert not [rule for rule in rules if rule[1] == 136]
    with pytest.raises(ConfigError) as caught:
        device_rules.device_rules(container(("devices.deny", ("c 136:5 r",)), **ROOTED))
    assert str(caught.value) == (
        'web.haco:7: cgroup["devices.deny"]: no rule allows just "c 136:5", so it cannot be denied alone; '
        'deny "a" first, then allow'
    )


def test_on_v1_in_a_group_of_its_own() -> None:
    needed: dict[Hierarchy, set[str]] = {}
    (step,) = device_rules.plan(container(**ROOTED), "web", (*V1, *V2), needed)
    assert isinstance(step, RestrictDevices)
    assert step.group == "/cg/devices/haconiwa/web"
    assert list(needed) == list(V1)
    assert step.describe().startswith("restrict the devices to c *:* m, b *:* m, c 1:3 rwm, ")


def test_on_v2_a_program() -> None:
    needed: dict[Hierarchy, set[str]] = {}
    (step,) = device_rules.plan(container(**ROOTED), "web", V2, needed)
    assert isinstance(step, RestrictDevices)
    assert (step.group, needed) == ("", {})


def test_without_either_it_is_told() -> None:
    (step,) = device_rules.plan(container(**ROOTED), "web", (), {})
    assert step.warning().startswith("this host has no cgroup that could restrict the devices")


def test_a_host_that_refuses_is_told_about_once_unless_rules_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "devices.deny").symlink_to("/proc/self/oom_score_adj")  # takes no rules: EINVAL
    site = Site(container(**ROOTED))
    told: list[HaconiwaError] = []
    site.report = told.append
    RestrictDevices(DEFAULT_RULES, str(tmp_path), required=False).execute(site)
    assert [error.lines()[0].startswith("warning: cannot restrict the devices") for error in told] == [True]
    with pytest.raises(OSError, match="Invalid argument"):
        RestrictDevices(DEFAULT_RULES, str(tmp_path), required=True).execute(site)
    with pytest.raises(FileNotFoundError):
        RestrictDevices(DEFAULT_RULES, "/no/such/group", required=False).execute(site)
    assert len(told) == 1


def test_program_of_no_rules() -> None:
    program = device_program(())
    assert len(program) == 8 * 8
    assert program[-16:] == struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)


def test_each_jump_ends_behind_its_rule() -> None:
    rules: list[Rule] = [("c", 1, 3, "rwm"), ("b", None, 2, "r"), ("c", None, None, "m")]
    program = device_program(rules)
    codes = [struct.unpack_from("=BBhi", program, at) for at in range(0, len(program), 8)]
    exits = [at for at, code in enumerate(codes) if code[0] == 0x95]
    for at, (code, _registers, offset, _immediate) in enumerate(codes):
        if code == 0x55:
            assert at + offset == min(exit_at for exit_at in exits if exit_at > at)
