"""What is written on which host, and what is said where that is impossible."""

from __future__ import annotations

from typing import Any

import pytest

from haconiwa.errors import ConfigError, Where
from haconiwa.host.cgroups import Hierarchy
from haconiwa.isolation import cgroups
from haconiwa.isolation.cgroup_limits import WriteLimit, bfq_line, resolve
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.model import ContainerSpec, MountSpec

HERE = Where("web.haco", 7)


def v1(*names: str) -> tuple[Hierarchy, ...]:
    return tuple(
        Hierarchy(version=1, mount_point=f"/cg/{name}", controllers=tuple(sorted(name.split(",")))) for name in names
    )


def v2(*controllers: str, mount_point: str = "/cg") -> tuple[Hierarchy, ...]:
    return (Hierarchy(version=2, mount_point=mount_point, controllers=controllers),)


HYBRID = (*v1("cpu,cpuacct", "memory", "blkio", "cpuset", "devices"), *v2(mount_point="/cg/unified"))


def asked(*settings: tuple[str, Any], version: int | None = None, assign_only: bool = False) -> CgroupSpec:
    return CgroupSpec(
        settings=tuple(
            CgroupSetting(key=key, lines=value if isinstance(value, tuple) else (value,), version=version, where=HERE)
            for key, value in settings
        ),
        assign_only=assign_only,
        where=HERE,
    )


def written(cgroup: CgroupSpec, found: tuple[Hierarchy, ...]) -> list[tuple[str, ...]]:
    return [(f"{limit.hierarchy.mount_point}/{limit.key}", *limit.lines) for limit in resolve(cgroup, found)]


def refused(cgroup: CgroupSpec, found: tuple[Hierarchy, ...]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(cgroup, found)
    return [str(problem) for problem in caught.value.problems]


V2_NAMES = asked(
    ("memory.max", "8388608"), ("memory.swap.max", "0"), ("cpu.max", "max 100000"), ("cpu.weight", "100"),
    ("io.max", ("8:0 rbps=5 wiops=max",)), ("cpuset.cpus", "0"),
)  # fmt: skip


def test_v2_names_on_v2() -> None:
    assert written(V2_NAMES, v2("memory", "cpu", "io", "cpuset")) == [
        ("/cg/memory.max", "8388608"),
        ("/cg/memory.swap.max", "0"),
        ("/cg/cpu.max", "max 100000"),
        ("/cg/cpu.weight", "100"),
        ("/cg/io.max", "8:0 rbps=5 wiops=max"),
        ("/cg/cpuset.cpus", "0"),
    ]


def test_v2_names_on_v1() -> None:
    assert written(V2_NAMES, HYBRID) == [
        ("/cg/memory/memory.limit_in_bytes", "8388608"),
        ("/cg/cpu,cpuacct/cpu.cfs_period_us", "100000"),
        ("/cg/cpu,cpuacct/cpu.cfs_quota_us", "-1"),
        ("/cg/cpu,cpuacct/cpu.shares", "1024"),
        ("/cg/blkio/blkio.throttle.read_bps_device", "8:0 5"),
        ("/cg/blkio/blkio.throttle.write_iops_device", "8:0 0"),
        ("/cg/cpuset/cpuset.cpus", "0"),
        ("/cg/memory/memory.memsw.limit_in_bytes", "8388608"),
    ]


def test_memory_and_swap_together_after_memory() -> None:
    """The kernel refuses the other order."""
    swap_first = asked(("memory.swap.max", "0"), ("memory.max", "8388608"), ("cpu.idle", "1"))
    keys = [limit.key for limit in resolve(swap_first, HYBRID)]
    assert keys == ["memory.limit_in_bytes", "cpu.idle", "memory.memsw.limit_in_bytes"]


V1_NAMES = asked(
    ("cpu.shares", "512"), ("cpu.cfs_quota_us", "30000"), ("cpu.cfs_period_us", "50000"),
    ("memory.limit_in_bytes", "max"), ("pids.max", "max"),
)  # fmt: skip


def test_v1_names_on_v1_are_written_as_they_are() -> None:
    assert written(V1_NAMES, v1("cpu", "memory", "pids")) == [
        ("/cg/cpu/cpu.shares", "512"),
        ("/cg/cpu/cpu.cfs_quota_us", "30000"),
        ("/cg/cpu/cpu.cfs_period_us", "50000"),
        ("/cg/memory/memory.limit_in_bytes", "-1"),
        ("/cg/pids/pids.max", "max"),
    ]


def test_v1_names_on_v2() -> None:
    assert written(V1_NAMES, v2("memory", "cpu", "pids")) == [
        ("/cg/cpu.weight", "59"),
        ("/cg/cpu.max", "30000 50000"),
        ("/cg/memory.max", "max"),
        ("/cg/pids.max", "max"),
    ]


def test_each_controller_for_itself() -> None:
    """A host may have some controllers on v1 and others on v2."""
    mixed = (*v1("memory"), *v2("cpu", mount_point="/cg/unified"))
    assert written(asked(("memory.max", "max"), ("cpu.shares", "1024")), mixed) == [
        ("/cg/memory/memory.limit_in_bytes", "-1"),
        ("/cg/unified/cpu.weight", "100"),
    ]


def test_literal_files() -> None:
    assert written(asked(("cpu.shares", "2"), version=1), HYBRID) == [("/cg/cpu,cpuacct/cpu.shares", "2")]
    assert written(asked(("cgroup.max.depth", "5"), version=2), HYBRID) == [("/cg/unified/cgroup.max.depth", "5")]
    assert written(asked(("devices.allow", "c 1:1 r"), version=1), HYBRID) == [("/cg/devices/devices.allow", "c 1:1 r")]


@pytest.mark.parametrize(
    ("cgroup", "found", "said"),
    [
        (asked(("pids.max", "1")), (), 'cgroup["pids.max"]: this host has no controller "pids"; it has no cgroups'),
        (
            asked(("pids.max", "1")),
            HYBRID,
            ('cgroup["pids.max"]: this host has no controller "pids"; '
            "it has cgroup v1: blkio cpu cpuacct cpuset devices memory; v2: no controllers"),
        ),
        (
            asked(("memory.min", "1")),
            HYBRID,
            ('cgroup["memory.min"]: this host\'s memory controller is of cgroup v1: it has nothing like it; '
            "there it has memory.kmem.tcp.limit_in_bytes memory.limit_in_bytes memory.memsw.limit_in_bytes "
            "memory.oom_control memory.soft_limit_in_bytes memory.swappiness"),
        ),
        (
            asked(("memory.swap.max", "5")),
            HYBRID,
            ('cgroup["memory.swap.max"]: this host\'s memory controller is of cgroup v1: v1 limits memory and swap '
            "together, so it needs memory.max; there it has memory.kmem.tcp.limit_in_bytes memory.limit_in_bytes "
            "memory.memsw.limit_in_bytes memory.oom_control memory.soft_limit_in_bytes memory.swappiness"),
        ),
        (
            asked(("net_cls.classid", "1")),
            v2("memory"),
            'cgroup["net_cls.classid"]: this host has no controller "net_cls"; it has cgroup v2: memory',
        ),
        (
            asked(("memory.high", "1"), ("memory.low", "1")),
            HYBRID,
            'cgroup["memory.low"]: is the same limit as cgroup["memory.high"] on this host',
        ),
        (
            asked(("memory.max", "1"), version=2),
            HYBRID,
            ('cgroup("v2")["memory.max"]: this host has no v2 controller "memory"; '
            "it has cgroup v1: blkio cpu cpuacct cpuset devices memory; v2: no controllers"),
        ),
        (
            asked(("devices.allow", "a"), version=2),
            v2("memory"),
            'cgroup("v2")["devices.allow"]: this host has no v2 controller "devices"; it has cgroup v2: memory',
        ),
        (
            asked(("io.max", ("/dev/null rbps=1",))),
            v2("io"),
            'cgroup["io.max"]: "/dev/null" is no block device',
        ),
        (
            asked(("io.max", ("/dev/none/such rbps=1",))),
            v2("io"),
            'cgroup["io.max"]: cannot look at "/dev/none/such": No such file or directory',
        ),
        (
            asked(assign_only=True),
            v1("memory"),
            'cgroup("v2").assign_only: this host has no v2 hierarchy; it has cgroup v1: memory',
        ),
    ],
)  # fmt: skip
def test_what_the_host_cannot_do(cgroup: CgroupSpec, found: tuple[Hierarchy, ...], said: str) -> None:
    assert refused(cgroup, found) == [f"web.haco:7: {said}"]


def test_all_problems_at_once() -> None:
    assert len(refused(asked(("pids.max", "1"), ("rdma.max", "x"), ("cpu.weight", "5")), HYBRID)) == 2


def container(**settings: Any) -> ContainerSpec:
    return ContainerSpec(**{"name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {}, **settings})


def test_only_the_groups_that_are_needed() -> None:
    steps = cgroups.plan(container(cgroup=asked(("memory.max", "max"), ("cpu.idle", "1"))), HYBRID)
    assert [step.describe() for step in steps] == [
        'create the cgroup "/cg/unified/haconiwa/web"',
        'create the cgroup "/cg/memory/haconiwa/web"',
        'create the cgroup "/cg/cpu,cpuacct/haconiwa/web"',
        'write "-1" to "/cg/memory/haconiwa/web/memory.limit_in_bytes"',
        'write "1" to "/cg/cpu,cpuacct/haconiwa/web/cpu.idle"',
        "join the cgroup",
    ]
    assert steps[3].where == HERE
    assert cgroups.planned_paths(steps)[0] == "/cg/unified/haconiwa/web"


def test_on_v2_one_group_with_its_controllers() -> None:
    found = v2("memory", "cpu", "io")
    steps = cgroups.plan(container(cgroup=asked(("memory.max", "max"), ("cpu.idle", "1"))), found)
    assert steps[0].describe() == 'create the cgroup "/cg/haconiwa/web" with the controllers cpu memory'
    assert [step.describe() for step in steps[1:]] == [
        'write "max" to "/cg/haconiwa/web/memory.max"',
        'write "1" to "/cg/haconiwa/web/cpu.idle"',
    ]


def test_another_name() -> None:
    steps = cgroups.plan(container(cgroup=CgroupSpec(name="other")), v2())
    assert cgroups.planned_paths(steps) == ("/cg/haconiwa/other",)


def test_a_private_dev_needs_a_group_for_its_rules() -> None:
    private = container(mounts=(MountSpec(kind="devtmpfs", source="", destination="/dev"),))
    assert cgroups.planned_paths(cgroups.plan(private, HYBRID)) == (
        "/cg/unified/haconiwa/web",
        "/cg/devices/haconiwa/web",
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (2, 'cgroup["memory.max"]: this kernel\'s cgroup v2 has no such file; it has none'),
        (22, 'cgroup["memory.max"]: the kernel does not take this value here, nor one above the parent group\'s'),
        (19, 'cgroup["memory.max"]: no such device on this host'),
        (4, ""),
    ],
)
def test_hints(number: int, said: str) -> None:
    (limit,) = resolve(asked(("memory.max", "1")), v2("memory"))
    assert WriteLimit(limit, "web").hint(number) == said


def test_weights_of_the_bfq_scheduler() -> None:
    assert [bfq_line("default 10000"), bfq_line("8:0 1")] == ["default 1000", "8:0 10"]
