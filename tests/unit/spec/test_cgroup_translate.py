"""v1 to v2 and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.spec import cgroup_keys
from haconiwa.spec.cgroup_check import check_cgroup
from haconiwa.spec.cgroup_translate import (
    NEAREST_IN_V1,
    TO_V1,
    TO_V2,
    Untranslatable,
    block_weight_to_io,
    io_weight_to_block,
    shares_to_weight,
    translate,
    weight_to_shares,
)
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec

Given = Mapping[str, tuple[str, ...]]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cgroups.md").read_text(encoding="utf-8")


def to(version: int, settings: Given) -> dict[str, tuple[str, ...]]:
    return {file.key: file.lines for key in settings for file in translate(key, settings, version)}


@pytest.mark.parametrize(
    ("v2", "v1"),
    [
        ({"cpu.max": ("50000 100000",)}, {"cpu.cfs_quota_us": ("50000",), "cpu.cfs_period_us": ("100000",)}),
        ({"cpu.max": ("max 100000",)}, {"cpu.cfs_quota_us": ("max",), "cpu.cfs_period_us": ("100000",)}),
        ({"cpu.max.burst": ("5",)}, {"cpu.cfs_burst_us": ("5",)}),
        ({"cpu.weight": ("100",)}, {"cpu.shares": ("1024",)}),
        ({"memory.max": ("4096",)}, {"memory.limit_in_bytes": ("4096",)}),
        ({"memory.low": ("4096",)}, {"memory.soft_limit_in_bytes": ("4096",)}),
        (
            {"memory.max": ("100",), "memory.swap.max": ("50",)},
            {"memory.limit_in_bytes": ("100",), "memory.memsw.limit_in_bytes": ("150",)},
        ),
        ({"memory.swap.max": ("max",)}, {"memory.memsw.limit_in_bytes": ("max",)}),
        ({"pids.max": ("5",)}, {"pids.max": ("5",)}),
        ({"cpuset.cpus": ("0",), "cpuset.mems": ("0",)}, {"cpuset.cpus": ("0",), "cpuset.mems": ("0",)}),
        (
            {"io.max": ("8:0 rbps=1 wiops=2", "8:16 rbps=max")},
            {
                "blkio.throttle.read_bps_device": ("8:0 1", "8:16 max"),
                "blkio.throttle.write_iops_device": ("8:0 2",),
            },
        ),
        (
            {"io.weight": ("default 4950", "8:0 1")},
            {"blkio.weight": ("500",), "blkio.weight_device": ("8:0 10",)},
        ),
        ({"hugetlb.2MB.max": ("4096",)}, {"hugetlb.2MB.limit_in_bytes": ("4096",)}),
        ({"hugetlb.2MB.rsvd.max": ("4096",)}, {"hugetlb.2MB.rsvd.limit_in_bytes": ("4096",)}),
    ],
)
def test_both_ways(v2: Given, v1: Given) -> None:
    assert to(1, v2) == v1
    assert to(2, v1) == v2


def test_one_way_only() -> None:
    assert to(1, {"memory.high": ("5",)}) == {"memory.soft_limit_in_bytes": ("5",)}
    assert to(2, {"cpu.cfs_period_us": ("5000",)}) == {"cpu.max": ("max 5000",)}
    assert to(2, {"blkio.bfq.weight": ("1",)}) == {"io.weight": ("default 1",)}


@pytest.mark.parametrize(
    ("version", "settings", "why"),
    [
        (1, {"memory.min": ("5",)}, "nothing like it"),
        (1, {"memory.oom.group": ("1",)}, "nothing like it"),
        (1, {"memory.swap.max": ("5",)}, "needs memory.max"),
        (1, {"memory.swap.max": ("5",), "memory.max": ("max",)}, "needs memory.max"),
        (2, {"memory.swappiness": ("5",)}, "nothing like it"),
        (2, {"memory.memsw.limit_in_bytes": ("5",)}, "needs memory.max"),
        (2, {"memory.memsw.limit_in_bytes": ("5",), "memory.limit_in_bytes": ("6",)}, "below memory.limit_in_bytes"),
    ],
)
def test_no_translation(version: int, settings: Given, why: str) -> None:
    with pytest.raises(Untranslatable, match=why):
        translate(next(iter(settings)), settings, version)


def test_swap_goes_with_the_memory_limit_of_either_name() -> None:
    assert to(1, {"memory.swap.max": ("5",), "memory.max": ("6",)})["memory.memsw.limit_in_bytes"] == ("11",)
    mixed = {"memory.swap.max": ("5",), "memory.limit_in_bytes": ("6",)}
    assert translate("memory.swap.max", mixed, 1)[0].lines == ("11",)
    mixed = {"memory.memsw.limit_in_bytes": ("11",), "memory.max": ("6",)}
    assert translate("memory.memsw.limit_in_bytes", mixed, 2)[0].lines == ("5",)


def test_weights_are_those_of_runc() -> None:
    known = {2: 1, 1024: 100, 262_144: 10_000, 1: 1, 512: 59, 2048: 174, 300_000: 10_000}
    assert {shares: shares_to_weight(shares) for shares in known} == known
    assert [block_weight_to_io(weight) for weight in (10, 500, 1000)] == [1, 4950, 10_000]


def test_every_weight_survives_both_ways() -> None:
    assert [shares_to_weight(weight_to_shares(weight)) for weight in range(1, 10_001)] == list(range(1, 10_001))
    assert [io_weight_to_block(block_weight_to_io(weight)) for weight in range(10, 1001)] == list(range(10, 1001))
    shares = [weight_to_shares(weight) for weight in range(1, 10_001)]
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (2, 262_144)


sizes = st.one_of(st.just("max"), st.integers(0, 2**40).map(str))
devices = st.integers(0, 4000).map(lambda minor: f"8:{minor}")
limits = st.dictionaries(st.sampled_from(["rbps", "wbps", "riops", "wiops"]), sizes, min_size=1)


def io_lines(found: dict[str, dict[str, str]]) -> tuple[str, ...]:
    words = ("rbps", "wbps", "riops", "wiops")
    return tuple(f"{dev} {' '.join(f'{w}={lim[w]}' for w in words if w in lim)}" for dev, lim in found.items())


lossless = st.fixed_dictionaries(
    {},
    optional={
        "cpu.max": st.builds(
            lambda quota, period: (f"{quota} {period}",),
            st.one_of(st.just("max"), st.integers(1000, 10**9).map(str)),
            st.integers(1000, 10**6),
        ),
        "cpu.weight": st.integers(1, 10_000).map(lambda weight: (str(weight),)),
        "memory.max": st.integers(0, 2**40).map(lambda size: (str(size),)),
        "memory.low": sizes.map(lambda size: (size,)),
        "pids.max": sizes.map(lambda size: (size,)),
        "io.max": st.dictionaries(devices, limits, min_size=1, max_size=4).map(io_lines),
        "hugetlb.2MB.max": sizes.map(lambda size: (size,)),
    },
)


@given(lossless)
def test_v2_to_v1_and_back(settings: dict[str, tuple[str, ...]]) -> None:
    back = to(2, to(1, settings))
    assert {key: sorted(lines) for key, lines in back.items()} == {key: sorted(v) for key, v in settings.items()}


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_swap_both_ways(memory: int, swap: int) -> None:
    settings = {"memory.max": (str(memory),), "memory.swap.max": (str(swap),)}
    assert to(2, to(1, settings)) == settings


def spec(**settings: str) -> CgroupSpec:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return CgroupSpec(settings=tuple(CgroupSetting(key=key, lines=(value,)) for key, value in named.items()))


@pytest.mark.parametrize(
    ("cgroup", "problems"),
    [
        (spec(memory__max="2097152"), []),
        (spec(memory__max="max"), []),
        (spec(memory__max="2097151"), ['cgroup["memory.max"]: no container can start with less than 2M']),
        (spec(memory__high="0"), ['cgroup["memory.high"]: no container can start with less than 2M']),
        (spec(cpu__cfs_quota_us="1000", cpu__cfs_period_us="1000"), []),
        (
            spec(cpu__max="max 100000", cpu__cfs_quota_us="5000"),
            ['cgroup["cpu.cfs_quota_us"]: is the same limit as cgroup["cpu.max"]; set one of them'],
        ),
        (
            spec(memory__memsw__limit_in_bytes="9999999"),
            ['cgroup["memory.memsw.limit_in_bytes"]: it limits memory and swap together, so it needs memory.max'],
        ),
        (spec(memory__swappiness="5"), []),
    ],
)  # fmt: skip
def test_settings_together(cgroup: CgroupSpec, problems: list[str]) -> None:
    assert [str(problem) for problem in check_cgroup(cgroup)] == problems


def keys_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_A-Z]+\.[a-zA-Z0-9_.]+)`", text))


def test_the_table_in_the_documentation_is_what_the_code_does() -> None:
    same, _, alone = PAGE.partition("## Names in one version")
    rows = [row.split("|")[1:3] for row in same.splitlines() if row.startswith("| `")]
    seen: set[str] = set()
    for v2, v1 in rows:
        (key,) = keys_in(v2)
        others = keys_in(v1)
        seen |= {key, *others}
        for other in others:
            if "hugetlb" in key or key in NEAREST_IN_V1:
                continue
            settings = {other: ("8:0 5",) if "device" in other else ("5000",), "memory.max": ("1",)}
            assert TO_V2[other](other, settings).key == key
        assert key in TO_V1 or "hugetlb" in key
    table = [row for row in alone.partition("## ")[0].splitlines() if row.startswith("| `")]
    only_v2, only_v1 = ({key for row in table for key in keys_in(row.split("|")[side])} for side in (1, 2))
    assert only_v2 == {key for key in cgroup_keys.V2_KEYS if key not in TO_V1}
    assert only_v1 == {key for key in cgroup_keys.V1_KEYS if key not in TO_V2 and not key.startswith("devices.")}
    hugetlb = {key for key in seen if key.startswith("hugetlb.")}
    assert seen - hugetlb == {*TO_V1, *TO_V2}
