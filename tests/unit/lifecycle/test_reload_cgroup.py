from __future__ import annotations

import pytest

from haconiwa.lifecycle.reload_cgroup import cgroup_differences, cgroup_spec
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.record import to_plain

OLD = CgroupSpec(
    settings=(
        CgroupSetting(key="memory.max", lines=("1024",)),
        CgroupSetting(key="pids.max", lines=("5",)),
        CgroupSetting(key="cpu.weight", lines=("50",), version=2),
        CgroupSetting(key="devices.allow", lines=("c 1:3 r",)),
        CgroupSetting(key="devices.allow", lines=("c 1:5 r",)),
    )
)


def test_plain_values_are_records_again() -> None:
    assert cgroup_spec(to_plain(OLD)) == OLD
    assert cgroup_spec(None) == CgroupSpec()


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"settings": [{}], "name": ""},
        {"settings": [{"key": "a.b", "lines": [], "version": 3}], "name": "", "assign_only": False},
        {"settings": [{"key": "a.b", "lines": [], "version": True}], "name": "", "assign_only": False},
        {"settings": [{"key": "a.b", "lines": [], "version": [1]}], "name": "", "assign_only": False},
        {"settings": [{"key": "a.b", "lines": "max", "version": 1}], "name": "", "assign_only": False},
        {"settings": [{"key": "a.b", "lines": [5], "version": 1}], "name": "", "assign_only": False},
        {"settings": [{"key": 5, "lines": ["5"], "version": 1}], "name": "", "assign_only": False},
        {"settings": ["a.b"], "name": "", "assign_only": False},
        {"settings": 5, "name": "", "assign_only": False},
        {"settings": [], "name": None, "assign_only": False},
        {"settings": [], "name": "", "assign_only": 1},
        [],
    ],
)
def test_others_are_refused(plain: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        cgroup_spec(plain)


def test_differences() -> None:
    new = CgroupSpec(settings=(CgroupSetting(key="memory.max", lines=("max",)), *OLD.settings[2:4]), name="other")
    assert cgroup_differences(to_plain(OLD), to_plain(new)) == [
        'cgroup["devices.allow"]: c 1:3 r, c 1:5 r -> c 1:3 r',
        'cgroup["memory.max"]: 1024 -> max',
        'cgroup["pids.max"]: 5 -> not set',
        "cgroup_name: its name -> other",
    ]
    assert cgroup_differences(to_plain(OLD), to_plain(OLD)) == []
    assert cgroup_differences(None, to_plain(CgroupSpec())) == []
