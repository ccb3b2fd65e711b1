"""What each module plans for a spec: pure, so no root and nothing done."""

from __future__ import annotations

from typing import Any

import pytest

from haconiwa.errors import ConfigError, Where
from haconiwa.host.cgroups import Hierarchy
from haconiwa.isolation import (
    capabilities,
    cgroups,
    devices,
    ids,
    masks,
    mounts,
    namespaces,
    network,
    process,
    rlimits,
    rootfs,
    stdio,
    terminal,
    uts,
)
from haconiwa.isolation.step import Step
from haconiwa.kernel.namespaces import CLONE
from haconiwa.spec.model import (
    CapabilitiesSpec,
    ContainerSpec,
    IdMapping,
    JoinedNamespace,
    MountSpec,
    RlimitSpec,
    RootfsSpec,
    StdioSpec,
    UserSpec,
)

HERE = Where("web.haco", 7)


def spec(**settings: Any) -> ContainerSpec:
    return ContainerSpec(**{"name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {}, **settings})


def words(steps: list[Step]) -> list[str]:
    return [step.describe() for step in steps]


def placed(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.place, step.describe()) for step in steps]


def test_uts() -> None:
    assert words(uts.plan(spec())) == []
    both = spec(hostname="web", domainname="nis", sources={"hostname": HERE})
    assert words(uts.plan(both)) == ['set the host name "web"', 'set the domain name "nis"']
    assert [step.where for step in uts.plan(both)] == [HERE, None]


def test_network() -> None:
    assert words(network.plan(spec())) == []
    assert words(network.plan(spec(namespaces=("net",)))) == ["set the loopback interface up"]


def test_cgroups_v2() -> None:
    v2 = (Hierarchy(version=2, mount_point="/cg"),)
    assert placed(cgroups.plan(spec(), v2)) == [("supervisor", 'create the cgroup "/cg/haconiwa/web"')]
    assert cgroups.planned_paths(cgroups.plan(spec(), v2)) == ("/cg/haconiwa/web",)


def test_cgroups_v1() -> None:
    v1 = (Hierarchy(version=1, mount_point="/cg/pids", controllers=("pids",)),)
    assert placed(cgroups.plan(spec(), v1)) == [
        ("supervisor", 'create the cgroup "/cg/pids/haconiwa/web"'),
        ("child", "join the cgroup"),
    ]


def test_no_cgroups() -> None:
    assert cgroups.plan(spec(), ()) == []


def test_rootfs() -> None:
    container = spec(rootfs=RootfsSpec(path="/srv/web", readonly=True, where=HERE), namespaces=("mount",))
    assert placed(rootfs.plan_opening(container)) == [("supervisor", 'open the root file system "/srv/web" read-only')]
    assert rootfs.plan_opening(container)[0].where == HERE
    assert words(rootfs.plan_attaching(container)) == ["make all mounts private", "attach the root file system"]
    assert placed(rootfs.plan_entering(container)) == [("inside", "pivot into the root file system")]


def test_rootfs_by_chroot() -> None:
    container = spec(rootfs=RootfsSpec(path="/srv/web", use_legacy_chroot=True))
    assert words(rootfs.plan_entering(container)) == ["chroot into the root file system"]


def test_hosts_root() -> None:
    assert rootfs.plan_opening(spec()) == rootfs.plan_entering(spec()) == []
    assert words(rootfs.plan_attaching(spec())) == ["use the host's root"]


def test_mounts_in_order() -> None:
    container = spec(
        root_mounts=(MountSpec(kind="bind", source="/usr", destination="/usr", readonly=True),),
        network_etc="/etc",
        mounts=(
            MountSpec(kind="filesystem", source="tmpfs", destination="/tmp", fstype="tmpfs", options="size=1m"),
            MountSpec(kind="shm", source="", destination=""),
            MountSpec(kind="procfs", source="", destination=""),
            MountSpec(kind="bind", source="/srv/data", destination="/data", where=HERE),
        ),
    )
    assert words(mounts.plan_opening(container)) == [
        'open "/usr" to bind it on "/usr"',
        'open "/etc/resolv.conf" to bind it on "/etc/resolv.conf"',
        'open "/etc/hosts" to bind it on "/etc/hosts"',
        'open "/srv/data" to bind it on "/data"',
        "let go of the opened mounts",
    ]
    assert words(mounts.plan_attaching(container)) == [
        'bind "/usr" on "/usr" read-only',
        'mount proc on "/proc"',
        'mount tmpfs on "/dev/shm" with mode=1777,size=64m',
        'bind "/etc/resolv.conf" on "/etc/resolv.conf" read-only',
        'bind "/etc/hosts" on "/etc/hosts" read-only',
        'mount tmpfs on "/tmp" with size=1m',
        'bind "/srv/data" on "/data"',
    ]
    assert mounts.plan_attaching(container)[-1].where == HERE
    assert all(step.place == "child" for step in mounts.plan_attaching(container))


def test_option_that_only_a_file_system_knows_is_refused_for_a_bind_mount() -> None:
    bad = MountSpec(kind="bind", source="/srv", destination="/srv", options="ro,mode=700", where=HERE)
    with pytest.raises(ConfigError) as caught:
        mounts.plan_opening(spec(mounts=(bad,)))
    assert str(caught.value) == 'web.haco:7: add_mount_point: unknown option "mode" for a bind mount'


@pytest.mark.parametrize(
    ("settings", "gid"),
    [
        ({}, ",gid=5"),
        ({"namespaces": ("user",), "gid_mappings": (IdMapping(container_id=0, host_id=1000, size=5),)}, ""),
        ({"namespaces": ("user",), "gid_mappings": (IdMapping(container_id=0, host_id=1000, size=6),)}, ",gid=5"),
    ],
)
def test_terminals_belong_to_the_tty_group_where_there_is_one(settings: dict[str, Any], gid: str) -> None:
    container = spec(mounts=(MountSpec(kind="devpts", source="", destination=""),), **settings)
    assert words(mounts.plan_independent(container)) == [
        f'mount devpts on "/dev/pts" with dev,newinstance,ptmxmode=0666,mode=0620{gid}'
    ]


def test_devices() -> None:
    private = MountSpec(kind="devtmpfs", source="", destination="")
    assert words(devices.plan(private, spec())) == [
        'mount a private "/dev" with null, zero, full, random, urandom, tty'
    ]
    host = MountSpec(kind="devtmpfs", source="", destination="", host=True)
    assert words(devices.plan(host, spec())) == ['mount the host\'s devices on "/dev"']


def test_masks_need_a_root_of_their_own() -> None:
    assert masks.plan(spec()) == []
    container = spec(rootfs=RootfsSpec(path="/srv"), masked_paths=("/a", "/b"), readonly_paths=("/c",))
    assert words(masks.plan(container)) == ['make "/c" read-only', 'mask "/a"', 'mask "/b"']


def test_steps_know_the_lines_that_asked_for_them() -> None:
    at = {
        name: Where("web.haco", line)
        for line, name in enumerate(("filesystem.add_masked_path", "filesystem.readonly_paths", "mount_network_etc"), 1)
    }
    container = spec(
        rootfs=RootfsSpec(path="/srv"), masked_paths=("/proc/kcore", "/a"), readonly_paths=("/c",), sources=at
    )
    assert [step.where and step.where.line for step in masks.plan(container)] == [2, None, 1]
    (resolv, hosts) = mounts.network_etc_mounts(spec(network_etc="/etc", sources=at))
    assert (resolv.where, hosts.where) == (Where("web.haco", 3), Where("web.haco", 3))


def test_namespaces() -> None:
    container = spec(namespaces=("mount", "cgroup", "user", "pid"))
    clone = namespaces.CloneProcess(container)
    assert clone.flags == CLONE.NEWNS | CLONE.NEWUSER | CLONE.NEWPID
    assert placed([clone]) == [("clone", "clone the process into new namespaces: mount user pid")]
    assert words([namespaces.CloneProcess(spec(namespaces=("cgroup",)))]) == ["clone the process"]
    assert words(namespaces.plan_cgroup(container)) == ["unshare the cgroup namespace"]


def test_user_namespace() -> None:
    container = spec(
        namespaces=("user",),
        uid_mappings=(IdMapping(container_id=0, host_id=1000, size=10), IdMapping(container_id=10, host_id=5, size=1)),
        gid_mappings=(IdMapping(container_id=0, host_id=2000, size=1),),
    )
    assert placed(namespaces.plan_maps(container)) == [
        ("parent", "map the user ids 0-9 to 1000-1009, 10-10 to 5-5 and the group ids 0-0 to 2000-2000")
    ]
    assert placed(namespaces.plan_entering(container)) == [
        ("child", "wait for the id maps"),
    ]
    assert placed(namespaces.plan_becoming(container)) == [("child", "become root of the user namespace")]


def test_entered_namespaces_with_the_user_namespace_last() -> None:
    joined = [JoinedNamespace(type=kind, path=f"/x/{kind}", where=HERE) for kind in ("user", "pid", "net")]
    container = spec(joined_namespaces=tuple(joined))
    assert placed(namespaces.plan_opening(container)) == [
        ("supervisor", 'open the user namespace "/x/user"'),
        ("supervisor", 'open the pid namespace "/x/pid"'),
        ("supervisor", 'open the net namespace "/x/net"'),
        ("supervisor", "enter the pid namespace"),
    ]
    assert placed(namespaces.plan_maps(container)) == [("parent", "return to the supervisor's own pid namespace")]
    assert words(namespaces.plan_entering(container))[:2] == ["enter the net namespace", "enter the user namespace"]


def test_capabilities() -> None:
    some = spec(capabilities=CapabilitiesSpec(bounding=frozenset({"chown", "setuid"})))
    assert words(capabilities.plan(some)) == ["keep the capabilities: chown setuid"]
    assert words(capabilities.plan(spec(capabilities=CapabilitiesSpec(bounding=None)))) == [
        "keep the capabilities: all"
    ]
    none = spec(capabilities=CapabilitiesSpec(bounding=frozenset()))
    assert words(capabilities.plan(none)) == ["keep the capabilities: none"]
    everything = spec(capabilities=CapabilitiesSpec(bounding=None))
    assert words(capabilities.plan_bounding(everything)) == ["drop 0 capabilities from the bounding set"]


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (UserSpec(), "the home directory of root"),
        (UserSpec(uid="alice"), 'user "alice"'),
        (UserSpec(uid=1, gid="audio", groups=(7, "x")), 'user "1", group "audio", group "7", group "x"'),
    ],
)
def test_ids(user: UserSpec, text: str) -> None:
    assert words(ids.plan_lookup(spec(user=user))) == [f"look up {text} in the container's passwd and group"]
    assert placed(ids.plan(spec(user=user))) == [("inside", "set the user and group ids")]


def test_rlimits() -> None:
    limits = (RlimitSpec(name="NOFILE", soft=5, hard=None, where=HERE), RlimitSpec(name="CORE", soft=None, hard=7))
    container = spec(rlimits=limits)
    assert words(rlimits.plan_raising(container)) == [
        "raise the hard limit NOFILE to unlimited if it is lower",
        "raise the hard limit CORE to 7 if it is lower",
    ]
    assert words(rlimits.plan(container)) == [
        "set the limit NOFILE to 5, hard unlimited",
        "set the limit CORE to unlimited, hard 7",
    ]
    assert [step.where for step in rlimits.plan(container)] == [HERE, None]


def test_process() -> None:
    assert "set no_new_privs" not in words(process.plan_last(spec()))
    with_it = process.plan_last(spec(no_new_privs=True, sources={"no_new_privs": HERE}))
    assert next(step.where for step in with_it if step.describe() == "set no_new_privs") == HERE
    # changed ids and capabilities disarm the death signal, so it comes after; a closed stderr could not tell of errors
    assert words(with_it)[-1] == "connect stdin, stdout and stderr"


def test_streams_of_a_daemon() -> None:
    asked = {"stdout": StdioSpec(file="/var/log/out", where=HERE)}
    steps = stdio.plan(stdio.daemon_streams(asked, "/log/web.log"), "/log/web.log")
    assert placed(steps) == [
        ("supervisor", 'open "/dev/null" for the program\'s stdin'),
        ("child", 'open "/var/log/out" in the container for the program\'s stdout'),
        ("supervisor", 'lead the program\'s stderr to "/log/web.log"'),
        ("parent", "leave the program's streams to it alone"),
    ]
    assert steps[1].where == HERE


def test_terminal() -> None:
    assert placed(terminal.plan(spec())) == [("child", "open a terminal if the program gets one")]


def test_hint_for_the_usual_mistakes() -> None:
    step = mounts.plan_opening(spec(mounts=(MountSpec(kind="bind", source="/x", destination="/x"),)))[0]
    assert step.hint(2) == "create it, or pass optional=True to add_mount_point"
    assert step.hint(1) == ""
