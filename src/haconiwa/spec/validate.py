"""Checks that need several settings together: small pure functions, whose problems are all collected."""

from __future__ import annotations

from itertools import pairwise

from haconiwa.errors import Problem
from haconiwa.spec.names import REQUIRED_OPTIONS, STRATEGIES
from haconiwa.spec.seccomp import NOT_TOLD, forbids
from haconiwa.spec.values import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.errors import Where
    from haconiwa.spec.model import BarnSpec, ContainerSpec, IdMapping, MountSpec
    from haconiwa.spec.supervision import HealthcheckSpec, ReadinessSpec

MAPPINGS_MAX = 340
"""Most lines of uid_map and gid_map, see user_namespaces(7)."""


def validate(barn: BarnSpec) -> list[Problem]:
    """What is wrong with a barn and its containers where each single value is right."""
    problems = [*_same_names(barn), *_same_pid_files(barn), *_same_groups(barn), *_order(barn)]
    for container in barn.containers:
        for check in CHECKS:
            problems += check(container)
        if container.network is not None:
            from haconiwa.spec.validate_network import check_network

            problems += check_network(container, container.network)
    return problems


def _set_at(container: ContainerSpec, name: str) -> Where | None:
    return container.sources.get(name)


def _same_names(barn: BarnSpec) -> Iterator[Problem]:
    seen: dict[str, ContainerSpec] = {}
    for container in barn.containers:
        if container.name in seen:
            where, first = (
                _set_at(each, "name") or _set_at(each, "define") for each in (container, seen[container.name])
            )
            what = f"name: two containers are called {show(container.name)}, the first at {first}"
            yield Problem(what, where, "give each a name of its own")
        seen.setdefault(container.name, container)


def _same_pid_files(barn: BarnSpec) -> Iterator[Problem]:
    seen = {barn.container_pid_file}
    for container in barn.containers:
        where = _set_at(container, "container_pid_file")
        if where is not None and container.container_pid_file in seen:
            yield Problem(f"container_pid_file: {show(container.container_pid_file)} is used twice", where)
        seen.add(container.container_pid_file)


def _same_groups(barn: BarnSpec) -> Iterator[Problem]:
    """Two containers in one group would end together."""
    seen = {container.name for container in barn.containers}
    for container in barn.containers:
        name = container.cgroup.name if container.cgroup else ""
        if name and name != container.name:
            if name in seen:
                yield Problem(f"cgroup_name: {show(name)} is another container's", _set_at(container, "cgroup_name"))
            seen.add(name)


def _order(barn: BarnSpec) -> Iterator[Problem]:
    """Whoever is started after others has them in the same file, and in the end something can be started first."""
    waits_for = {container.name: container.after for container in barn.containers}
    for container in barn.containers:
        where = _set_at(container, "after")
        for name in container.after:
            if name not in waits_for:
                yield Problem(f"after: the file has no container {show(name)}", where, f"it has {' '.join(waits_for)}")
    while free := [name for name, others in waits_for.items() if not any(other in waits_for for other in others)]:
        for name in free:
            del waits_for[name]
    circle = [container for container in barn.containers if container.name in waits_for]
    if circle:
        names = " ".join(container.name for container in circle)
        yield Problem(f"after: none of these can be started first: {names}", _set_at(circle[0], "after"))


def check_probes(container: ContainerSpec) -> Iterator[Problem]:
    """Something is looked at, or a function is asked."""
    checks: list[tuple[str, ReadinessSpec | HealthcheckSpec]]
    checks = [("add_readiness_hook", check) for check in container.readiness]
    if container.healthcheck:
        checks.append(("healthcheck", container.healthcheck))
    for name, check in checks:
        if check.probe.is_empty and check.function is None:
            hint = "give port=, http=, exec=, file= or a function"
            yield Problem(f"{name}: there is nothing to look at", check.where, hint)


def check_host_names(container: ContainerSpec) -> Iterator[Problem]:
    """Names of the host can be set only in a uts namespace of one's own."""
    for name in ("hostname", "domainname"):
        where = _set_at(container, name)
        if where is not None and "uts" not in container.namespaces:
            yield Problem(f"{name}: needs a uts namespace", where, 'add namespace.unshare("uts")')


def check_needs_root(container: ContainerSpec) -> Iterator[Problem]:
    """Settings of the root file system do nothing without one."""
    if container.rootfs is not None:
        return
    wanted = {"rootfs", "rootfs_owner", "filesystem", "bootstrap", "provision"}
    for name, where in container.sources.items():
        section = name.partition(".")[0]
        if section in wanted and "skip" not in name:
            wanted.remove(section)  # one line for each section is enough
            yield Problem(f"{name}: does nothing without a root file system", where, "call chroot_to(…)")


def check_bootstrap(container: ContainerSpec) -> Iterator[Problem]:
    """The strategy is named, its own attributes are set and no others."""
    bootstrap = container.bootstrap
    if bootstrap is None:
        return
    if not bootstrap.strategy:
        if bootstrap.skip and not bootstrap.options:
            return
        yield Problem("bootstrap.strategy: is not set", bootstrap.where, f"one of {' '.join(STRATEGIES)}")
        return
    own, required = STRATEGIES[bootstrap.strategy], REQUIRED_OPTIONS[bootstrap.strategy]
    for name in bootstrap.options:
        if name not in own:
            what = f'bootstrap.{name}: is no attribute of the strategy "{bootstrap.strategy}"'
            yield Problem(what, _set_at(container, f"bootstrap.{name}"))
    for name in required:
        if name not in bootstrap.options and not bootstrap.skip:
            yield Problem(f'bootstrap.{name}: the strategy "{bootstrap.strategy}" needs it', bootstrap.where)
    if bootstrap.strategy == "shell" and callable(bootstrap.options.get("code")):
        where = _set_at(container, "bootstrap.code")
        yield Problem('bootstrap.code: the strategy "shell" takes a script', where, 'a function needs "python"')


def check_download(container: ContainerSpec) -> Iterator[Problem]:
    """What comes over the network in the clear is known beforehand."""
    options = container.bootstrap.options if container.bootstrap else {}
    if str(options.get("archive_path", "")).lower().startswith("http://") and not options.get("sha256"):
        where = _set_at(container, "bootstrap.archive_path")
        yield Problem("bootstrap.sha256: an archive by http needs it", where, "or use https")


def check_provision(container: ContainerSpec) -> Iterator[Problem]:
    """The steps have names of their own, so that one can be chosen."""
    seen = set()
    for step in container.provision.steps:
        if step.name in seen:
            yield Problem(f"provision: two steps are called {show(step.name)}", step.where)
        seen.add(step.name)


def check_mounts(container: ContainerSpec) -> Iterator[Problem]:
    """No mount covers the root or another one, none shows the root in itself."""
    seen: dict[str, MountSpec] = {}
    for mount in container.mounts:
        shown = show(mount.destination)
        if mount.destination == "/":
            yield Problem("add_mount_point: would cover the container's root", mount.where)
        if mount.destination in seen:
            first = seen[mount.destination].where
            yield Problem(f"add_mount_point: something is mounted on {shown} already", mount.where, f"see {first}")
        if container.rootfs is not None and mount.kind == "bind" and mount.source.rstrip("/") == container.rootfs.path:
            yield Problem(f"add_mount_point: shows the root in itself, on {shown}", mount.where)
        seen[mount.destination] = mount


def check_mount_options(container: ContainerSpec) -> Iterator[Problem]:
    """The options of a mount do not contradict each other."""
    for mount in container.mounts:
        if mount.options:
            from haconiwa.spec.mount_words import contradiction, split_options

            found = contradiction([*split_options(mount.options), *(("ro",) if mount.readonly else ())])
            if found:
                what = f'add_mount_point: the options "{found[0]}" and "{found[1]}" contradict'
                yield Problem(what, mount.where)
            if "user" not in container.namespaces and {"idmap", "ridmap"} & {*mount.options.split(",")}:
                yield Problem('add_mount_point: the option "idmap" needs a user namespace', mount.where)


def check_namespaces(container: ContainerSpec) -> Iterator[Problem]:
    """A namespace is made or entered, not both; what is mounted needs a mount namespace of its own."""
    for joined in container.joined_namespaces:
        if joined.type in container.namespaces:
            why = {"mount": "its root and mounts need one", "user": "the id maps need one"}.get(joined.type, "")
            what = f"namespace.enter({show(joined.type)}): the container makes one of its own"
            yield Problem(what, joined.where, why)


def check_mappings(container: ContainerSpec) -> Iterator[Problem]:
    """A user namespace has both maps, with root inside, without overlaps, within what the kernel takes."""
    if "user" not in container.namespaces:
        return
    for setter, mappings in (("uid", container.uid_mappings), ("gid", container.gid_mappings)):
        name = f"namespace.set_{setter}_mapping"
        where = _set_at(container, name) or _set_at(container, "namespace.map_ids")
        if container.auto_ids:
            if mappings:
                yield Problem(f'{name}: the ids are mapped by map_ids("auto") already', where)
            continue
        if not mappings:
            unshared = _set_at(container, "namespace.unshare")
            yield Problem(f"{name}: a user namespace needs it", unshared or _any_map(container))
        elif not _mapped(0, mappings):
            yield Problem(f"{name}: the id 0 inside is not mapped", where, "the container is made by its root: min=0")
        if len(mappings) > MAPPINGS_MAX:
            yield Problem(f"{name}: more than {MAPPINGS_MAX} lines", where)
        for side in ("container_id", "host_id"):
            if _overlap(mappings, side):
                yield Problem(f"{name}: ids {'inside' if side == 'container_id' else 'on the host'} overlap", where)


def _any_map(container: ContainerSpec) -> Where | None:
    names = ("namespace.set_uid_mapping", "namespace.set_gid_mapping")
    return next((container.sources[name] for name in names if name in container.sources), None)


def _overlap(mappings: tuple[IdMapping, ...], side: str) -> bool:
    ranges = sorted((getattr(mapping, side), mapping.size) for mapping in mappings)
    return any(start + size > after for (start, size), (after, _) in pairwise(ranges))


def check_user(container: ContainerSpec) -> Iterator[Problem]:
    """The program's ids exist in the user namespace."""
    if "user" not in container.namespaces:
        return
    user = container.user
    uids, gids = container.uid_mappings, container.gid_mappings
    if container.auto_ids:
        from haconiwa.spec.model import IdMapping

        uids = gids = (IdMapping(container_id=0, host_id=0, size=container.auto_ids),)
    wanted = [
        ("uid", user.uid or 0, uids),
        ("gid", user.gid, gids),
        *(("groups", group, gids) for group in user.groups),
    ]
    for name, number, mappings in wanted:
        if isinstance(number, int) and number and mappings and not _mapped(number, mappings):
            where = _set_at(container, name) or user.where or _any_map(container)
            yield Problem(f"{name}: {number} is not mapped in the user namespace", where)


def _mapped(number: int, mappings: tuple[IdMapping, ...]) -> bool:
    return any(m.container_id <= number < m.container_id + m.size for m in mappings)


def check_capabilities(container: ContainerSpec) -> Iterator[Problem]:
    """Ambient capabilities are allowed ones."""
    capabilities = container.capabilities
    if capabilities.bounding is not None:
        for name in sorted(capabilities.ambient - capabilities.bounding):
            where = _set_at(container, "capabilities.ambient")
            yield Problem(f'capabilities.ambient: "{name}" is not allowed', where, f'add capabilities.allow("{name}")')
    if "net_admin" in capabilities.named and not capabilities.host_network and not _has_own(container, "net"):
        what = 'capabilities.allow: "net_admin" would rule the host\'s own network'
        hint = 'add namespace.unshare("net"), or pass host_network=True if that is meant'
        yield Problem(what, _set_at(container, "capabilities.allow"), hint)


def _has_own(container: ContainerSpec, kind: str) -> bool:
    """Whether a namespace is not simply the host's: the container makes one, or enters one."""
    return kind in container.namespaces or any(joined.type == kind for joined in container.joined_namespaces)


def check_sysctls(container: ContainerSpec) -> Iterator[Problem]:
    """A kernel parameter belongs to a namespace of the container's own."""
    if not container.sysctls:
        return
    from haconiwa.spec.sysctls import namespace_of

    for sysctl in container.sysctls:
        kind = namespace_of(sysctl.name)
        if not _has_own(container, kind):
            what = f"sysctl: {show(sysctl.name)} needs the {kind} namespace"
            yield Problem(what, sysctl.where, f'add namespace.unshare("{kind}")')


def check_persisted(container: ContainerSpec) -> Iterator[Problem]:
    """Each kept namespace has a path of its own."""
    seen: set[str] = set()
    for kept in container.persisted_namespaces:
        if kept.path in seen:
            yield Problem(f"namespace.unshare: persist_in={show(kept.path)} is used twice", kept.where)
        seen.add(kept.path)


def check_labels(container: ContainerSpec) -> Iterator[Problem]:
    """One security module labels a program."""
    if container.apparmor is not None and container.selinux_context is not None:
        where = _set_at(container, "selinux_context")
        yield Problem("selinux_context: the program has an AppArmor profile already", where)


def check_control_groups(container: ContainerSpec) -> Iterator[Problem]:
    """Limits can be lived in, and none is set twice under two names."""
    if container.cgroup is not None:
        from haconiwa.spec.cgroup_check import check_cgroup

        yield from check_cgroup(container.cgroup)


def check_seccomp(container: ContainerSpec) -> Iterator[Problem]:
    """The container's program can be started under each filter, and the supervisor can be told of calls."""
    told = [rule for each in container.seccomp.filters for rule in each.rules if rule.action == "notify"]
    for rule in told:
        for name in set(rule.names).intersection(NOT_TOLD):
            what = f'seccomp.filter.notify: "{name}" is made on the way to the container\'s program'
            yield Problem(what, rule.where, "it cannot wait for the supervisor then")
    tellers = [each for each in container.seccomp.filters if any(rule in told for rule in each.rules)]
    if len(tellers) > 1:
        yield Problem("seccomp.filter: a second filter with notify, the kernel takes one", tellers[1].where)
    for each in container.seccomp.filters:
        start = "execveat" if any("execveat" in rule.names for rule in each.rules) else "execve"
        if forbids(each, start):
            what = f'seccomp.filter: forbids "{start}", so that the container\'s own program cannot be started'
            yield Problem(what, each.where, 'allow("execve", "execveat")')


CHECKS = (
    check_seccomp,
    check_host_names,
    check_needs_root,
    check_bootstrap,
    check_download,
    check_provision,
    check_mounts,
    check_mount_options,
    check_namespaces,
    check_mappings,
    check_user,
    check_capabilities,
    check_sysctls,
    check_persisted,
    check_labels,
    check_control_groups,
    check_probes,
)
