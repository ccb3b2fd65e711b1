"""What an ordinary user cannot ask for, whose every right comes from the container's own user namespace."""

from __future__ import annotations

from haconiwa.errors import Problem
from haconiwa.spec.values import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.spec.model import ContainerSpec

_OF_USERS = frozenset("tmpfs ramfs proc sysfs devpts mqueue cgroup cgroup2 binfmt_misc overlay fuse".split())
"""File systems that the kernel lets a user namespace mount."""


def check_unprivileged(container: ContainerSpec) -> Iterator[Problem]:
    """Everything that takes root on the host.

    The pid namespace is needed so that all that is inside ends with its first process, whoever may make groups.
    """
    if "pid" not in container.namespaces:
        what = "namespace.unshare: an ordinary user's container needs a pid namespace, by which all of it can be ended"
        yield Problem(what, container.sources.get("namespace.unshare"), 'add namespace.unshare("pid")')
    for joined in container.joined_namespaces:
        yield Problem(f"namespace.enter({show(joined.type)}): only root may enter what is not its own", joined.where)
    for kept in container.persisted_namespaces:
        yield Problem(f"namespace.unshare: persist_in={show(kept.path)}: only root may mount on the host", kept.where)
    if container.time_offsets is not None:
        what = "namespace.set_time_offset: only root may, since it comes before the user namespace"
        yield Problem(what, container.time_offsets.where)
    yield from _network(container)
    yield from _files(container)


def _network(container: ContainerSpec) -> Iterator[Problem]:
    network = container.network
    if network is not None and network.mode != "none":
        asked = "network.share" if network.mode == "share" else "network.mode"
        what = f"{asked}: only root may connect a container to others, as {show(network.mode)} does"
        yield Problem(what, network.where, '"none" and "host" work for ordinary users')
    looks = [(look.probe, look.where) for look in (*container.readiness, container.healthcheck) if look]
    for probe, where in looks:
        if probe.http is not None and "net" in container.namespaces:
            what = "http: only root may ask in a network of the container's own"
            yield Problem(what, where, "port= and exec= work for ordinary users")


def _files(container: ContainerSpec) -> Iterator[Problem]:
    rootfs = container.rootfs
    if rootfs is not None and rootfs.idmap:
        hint = "haconiwa create gives the files to the mapped ids"
        yield Problem("rootfs.idmap: only root may map the ids of a mount", rootfs.where, hint)
    for mount in container.mounts:
        if mount.kind == "filesystem" and mount.fstype not in _OF_USERS:
            yield Problem(f"add_mount_point: only root may mount {show(mount.fstype)}", mount.where)
        if mount.kind == "devtmpfs" and mount.host:
            hint = "without host=True it is a private /dev, to which add_device adds"
            yield Problem("mount_independent: only root may show the host's own /dev", mount.where, hint)
        if {"idmap", "ridmap"} & {word.partition("=")[0] for word in mount.options.split(",")}:
            yield Problem('add_mount_point: only root may use the option "idmap"', mount.where)
    if container.keeps_groups and container.user.groups:
        what = "groups: they cannot be set, since no group is mapped but your own"
        yield Problem(what, container.user.where, "ranges in /etc/subuid and /etc/subgid make it possible")
