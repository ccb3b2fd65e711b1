"""What the files of control groups take."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haconiwa.spec import cgroup_keys, cgroup_names
from haconiwa.spec.values import Refused


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("memory.max", "256M", ["268435456"]),
        ("memory.max", "256m", ["268435456"]),
        ("memory.max", "1K", ["1024"]),
        ("memory.max", "2G", ["2147483648"]),
        ("memory.max", "1T", ["1099511627776"]),
        ("memory.max", 4096, ["4096"]),
        ("memory.max", "max", ["max"]),
        ("memory.max", -1, ["max"]),
        ("memory.limit_in_bytes", "-1", ["max"]),
        ("cpu.max", 50000, ["50000 100000"]),
        ("cpu.max", "50000", ["50000 100000"]),
        ("cpu.max", "max", ["max 100000"]),
        ("cpu.max", "20000  50000", ["20000 50000"]),
        ("cpu.cfs_quota_us", -1, ["max"]),
        ("cpu.weight.nice", -5, ["-5"]),
        ("cpu.weight.nice", "-5", ["-5"]),
        ("cpu.idle", True, ["1"]),
        ("memory.oom.group", "0", ["0"]),
        ("pids.max", "max", ["max"]),
        ("cpuset.cpus", "0-3,7", ["0-3,7"]),
        ("cpuset.mems", 0, ["0"]),
        ("cpuset.cpus.partition", "root", ["root"]),
        ("io.max", "8:0 wiops=120 rbps=1M", ["8:0 rbps=1048576 wiops=120"]),
        ("io.max", ["8:0 rbps=max", "/dev/sda wbps=1"], ["8:0 rbps=max", "/dev/sda wbps=1"]),
        ("io.weight", 50, ["default 50"]),
        ("io.weight", ["50", "8:0 20"], ["default 50", "8:0 20"]),
        ("blkio.weight_device", "8:0 500", ["8:0 500"]),
        ("blkio.throttle.read_bps_device", "8:0 1M", ["8:0 1048576"]),
        ("blkio.throttle.read_bps_device", "8:0 0", ["8:0 max"]),
        ("devices.allow", "c 10:229 wr", ["c 10:229 rw"]),
        ("devices.allow", ["c 10:* rwm", "a *:* rwm"], ["c 10:* rwm", "a"]),
        ("hugetlb.2MB.max", "4M", ["4194304"]),
        ("hugetlb.1GB.rsvd.limit_in_bytes", -1, ["max"]),
        ("misc.max", ["res_a 1", "res_b max"], ["res_a 1", "res_b max"]),
        ("net_cls.classid", 0x100001, ["1048577"]),
    ],
)
def test_values(key: str, value: object, lines: list[str]) -> None:
    assert list(cgroup_keys.value(cgroup_keys.key(key), value, None)) == lines


NOT_SIZES = [
    "1GB", "1.5M", "-2", -2, 10**30, str(10**30), float("nan"), 1.0, None, b"1M", True, "", " ", "1\n2", "1 M", "M",
    "\u0661", "0x10", "9" * 4000, ["1M"], "9223372036854775807K",
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_SIZES, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("key", ["memory.max", "memory.limit_in_bytes"])
def test_no_sizes(key: str, value: object) -> None:
    with pytest.raises(Refused):
        cgroup_keys.value(key, value, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cpu.max", 0), ("cpu.max", 999), ("cpu.max", "1 2 3"), ("cpu.max", "50000 10"), ("cpu.max", "max max"),
        ("cpu.max", -2), ("cpu.weight", 0), ("cpu.weight", 10001), ("cpu.weight", "max"), ("cpu.shares", 1),
        ("cpu.weight.nice", "-21"), ("cpu.idle", 2), ("pids.max", 0), ("pids.max", -2), ("pids.max", False),
        ("cpuset.cpus", ""), ("cpuset.cpus", "3-1"), ("cpuset.cpus", "0,,1"), ("cpuset.cpus", "all"),
        ("cpuset.cpus", "0-"), ("cpuset.cpus.partition", "leaf"), ("io.max", "8:0"), ("io.max", "8:0 rbps"),
        ("io.max", "8:0 rbps=1 rbps=2"), ("io.max", "8:0 speed=1"), ("io.max", "sda rbps=1"), ("io.max", []),
        ("io.max", ["8:0 rbps=1", "8:0 wbps=1"]), ("io.max", "8:0 rbps=-2"), ("io.max", 5), ("io.weight", "8:0"),
        ("io.weight", 0), ("io.weight", "8:0 0"), ("io.weight", True), ("blkio.throttle.read_bps_device", "8:0"),
        ("blkio.weight_device", "8:0 5"), ("devices.allow", "c 10:229"), ("devices.allow", "x 1:2 r"),
        ("devices.allow", "c 10 r"), ("devices.allow", "c 1:x r"), ("devices.allow", "c 1:1 x"), ("devices.allow", []),
        ("misc.max", "a\nb"), ("misc.max", None), ("misc.max", []), ("misc.max", 1.5),
    ],
)  # fmt: skip
def test_wrong_values(key: str, value: object) -> None:
    with pytest.raises(Refused):
        cgroup_keys.value(cgroup_keys.key(key), value, None)


@pytest.mark.parametrize(
    "key",
    [
        "memory", ".max", "memory.", "memory..max", "../memory.max", "memory.max/../x", "memory.max\n", "a b.c", "", 5,
        None, b"memory.max", "m\u00e9mory.max", "x." * 60 + "y", "cgroup.procs", "cgroup.kill",
        "cgroup.subtree_control", "cgroup.freeze", "freezer.state",
    ],
)  # fmt: skip
def test_wrong_names(key: object) -> None:
    with pytest.raises(Refused):
        cgroup_keys.key(key)


def test_unknown_names_say_what_is_near() -> None:
    with pytest.raises(Refused, match="is not known") as caught:
        cgroup_keys.value("memory.maxx", 1, None)
    assert caught.value.hint == 'did you mean "memory.max"?'
    with pytest.raises(Refused) as caught:
        cgroup_keys.value("quite.other", 1, None)
    assert "take any file of theirs" in caught.value.hint


def test_a_literal_file_may_be_any() -> None:
    assert cgroup_keys.value("memory.new_thing", "x y", 2) == ("x y",)
    assert cgroup_keys.value("memory.max", "1M", 2) == ("1048576",)
    assert cgroup_keys.value("memory.max", "1M", 1) == ("1M",)  # no file of v1 that we know


@given(st.integers(0, 2**20), st.sampled_from("kKmMgGtT"))
def test_units_are_powers_of_1024(number: int, unit: str) -> None:
    factor = 1024 ** ("kmgt".index(unit.lower()) + 1)
    assert cgroup_keys.value("memory.max", f"{number}{unit}", None) == (str(number * factor),)


@pytest.mark.parametrize("value", [" ", "\t", ["8:0 500", " "]])
def test_a_blank_line_is_refused(value: object) -> None:
    for key in ("io.max", "io.weight", "blkio.weight_device", "blkio.throttle.read_bps_device", "devices.allow"):
        with pytest.raises(Refused):
            cgroup_keys.value(key, value, None)


@settings(max_examples=30)
@example(" ")
@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary(), st.lists(st.text(), max_size=3)))
def test_any_value_is_taken_or_refused(value: object) -> None:
    for key in (*cgroup_keys.V1_KEYS, *cgroup_keys.V2_KEYS, "hugetlb.2MB.max"):
        try:
            lines = cgroup_keys.value(key, value, None)
        except Refused:
            continue
        assert lines
        assert all(line.isprintable() for line in lines)
        assert [cgroup_keys.value(key, line, None) for line in lines] == [(line,) for line in lines]


@given(st.text())
def test_any_name_is_taken_or_refused(name: str) -> None:
    try:
        assert cgroup_keys.key(name) == name
    except Refused:
        return
    assert "/" not in name
    assert name.isascii()


def test_editors_complete_the_names_that_are_known() -> None:
    assert list(get_args(cgroup_names.V1Key)) == list(cgroup_keys.V1_KEYS)
    assert list(get_args(cgroup_names.V2Key)) == list(cgroup_keys.V2_KEYS)
