from __future__ import annotations

from typing import Any

from haconiwa.spec.confinement import PersistedNamespace, TimeOffsets
from haconiwa.spec.model import ContainerSpec, MountSpec, RootfsSpec, UserSpec
from haconiwa.spec.network import NetworkSpec
from haconiwa.spec.supervision import HealthcheckSpec, ProbeSpec, ReadinessSpec
from haconiwa.spec.unprivileged import check_unprivileged

HTTP = ProbeSpec(http="http://127.0.0.1/")


def problems(**values: Any) -> list[str]:
    defaults: dict[str, Any] = {
        "name": "web", "environ": {}, "stdio": {}, "metadata": {}, "sources": {},
        "namespaces": ("mount", "pid", "user"),
    }  # fmt: skip
    return [problem.what.partition(":")[0] for problem in check_unprivileged(ContainerSpec(**{**defaults, **values}))]


def test_a_plain_container_is_right() -> None:
    mounts = (
        MountSpec(kind="devtmpfs", source="tmpfs", destination="/dev"),
        MountSpec(kind="filesystem", source="tmpfs", destination="/tmp", fstype="tmpfs", options="mode=1777"),
        MountSpec(kind="bind", source="/srv", destination="/srv", options="nosuid"),
    )
    assert problems(rootfs=RootfsSpec(path="/srv/web", idmap=False, overlay=True), mounts=mounts) == []
    assert problems(network=NetworkSpec(mode="none", hosts={})) == []


def test_each_thing_of_roots() -> None:
    mount = MountSpec(kind="bind", source="/srv", destination="/srv", options="ro,idmap=u:0:1:1")
    assert problems(namespaces=("mount", "user")) == ["namespace.unshare"]
    assert problems(network=NetworkSpec(mode="share", share="db", hosts={})) == ["network.share"]
    assert problems(network=NetworkSpec(hosts={})) == ["network.mode"]
    assert problems(persisted_namespaces=(PersistedNamespace(type="ipc", path="/x"),)) == ["namespace.unshare"]
    assert problems(time_offsets=TimeOffsets(monotonic_s=1, boottime_s=0)) == ["namespace.set_time_offset"]
    assert problems(mounts=(mount,)) == ["add_mount_point"]
    looks = {"readiness": (ReadinessSpec(probe=HTTP),), "healthcheck": HealthcheckSpec(probe=HTTP)}
    assert problems(**looks) == []
    assert problems(**looks, namespaces=("mount", "pid", "user", "net")) == ["http", "http"]
    assert problems(keeps_groups=True, user=UserSpec(groups=(1,))) == ["groups"]
    assert problems(user=UserSpec(groups=(1,))) == []
