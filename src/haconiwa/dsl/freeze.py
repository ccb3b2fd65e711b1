"""The end of a haco file: builders become a `BarnSpec`."""

from __future__ import annotations

from haconiwa.dsl.bootstrap import Bootstrap, Provision
from haconiwa.dsl.filesystem import Command, Filesystem, Rootfs
from haconiwa.dsl.namespace import Namespace
from haconiwa.dsl.privileges import Capabilities, Resource
from haconiwa.host.paths import default_pid_file
from haconiwa.spec.build import BootstrapSpec, ProvisionSpec
from haconiwa.spec.model import (
    BARN_POINTS,
    DEFAULT_CAPABILITIES,
    INDEPENDENT_MOUNTS,
    NAMESPACE_TYPES,
    RELOADABLE,
    BarnSpec,
    CapabilitiesSpec,
    ContainerSpec,
    MountSpec,
    RootfsSpec,
    UserSpec,
)
from haconiwa.spec.names import STRATEGIES
from haconiwa.spec.record import replace
from haconiwa.spec.seccomp import SeccompSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from haconiwa.dsl.builder import Container, Definition
    from haconiwa.dsl.node import Section
    from haconiwa.errors import Where
    from haconiwa.spec.cgroups import CgroupSpec
    from haconiwa.spec.confinement import LandlockRule, SysctlSpec
    from haconiwa.spec.model import HookSpec, NamespaceType
    from haconiwa.spec.network import NetworkSpec

    Values = dict[str, Any]


def freeze(barn: Definition) -> BarnSpec:
    """Everything a barn and its children have, as a record. A barn without children is the one container."""
    daemon = barn._values.get("daemonize", False)
    children = barn._children
    return BarnSpec(
        file=barn._load.real_file,
        name=barn.name,
        container_pid_file=(barn.container_pid_file or "") if children else "",
        containers=tuple(_with_image(_container(child, daemon)) for child in children or [barn]),
        daemonize=daemon,
        validate_real_id=barn._values.get("validate_real_id"),
        hooks=tuple(hook for hook in _hooks(barn) if hook.point in BARN_POINTS),
        syslog=barn._load.defaults.syslog,
    )


def _with_image(spec: ContainerSpec) -> ContainerSpec:
    """With the defaults of the image that the root was made from, which are known once it is there."""
    if spec.bootstrap is None or spec.bootstrap.strategy != "oci":
        return spec
    from haconiwa.host.image_record import with_recorded_image

    return with_recorded_image(spec)


def _hooks(container: Container) -> list[HookSpec]:
    hooks: list[HookSpec] = container._values.get("hooks", [])
    return hooks


def _container(container: Container, daemon: bool) -> ContainerSpec:
    network = _network(container)
    namespaces = _namespaces(container, network)
    joined = _section(container, Namespace).get("joined", ())
    own_network = "net" in namespaces or "net" in joined  # one that is shared may be the host's
    return ContainerSpec(
        **_program(container, daemon),
        **_files(container),
        **_isolation(container, network, namespaces),
        **_confinement(container, network, own_network),
        **_supervision(container),
        sources=dict(container._sources),
    )


def _program(container: Container, daemon: bool) -> Values:
    """What runs, as whom, and with which streams."""
    user = UserSpec(
        uid=container.uid,
        gid=container.gid,
        groups=container.groups,
        where=_where(container, "uid", "gid", "groups"),
    )
    return {
        "name": container.name,
        "init_command": container.init_command,
        "environ": dict(container.environ),
        "workdir": container.workdir,
        "user": user,
        "session_leader": daemon or container._values.get("session_leader", False),
        "stdio": dict(_section(container, Command)),
        "metadata": dict(container.metadata),
    }


def _files(container: Container) -> Values:
    """What it sees of files, and where they come from."""
    values, filesystem, root = container._values, container.filesystem, _rootfs(container)
    bootstrap = _bootstrap(container)
    return {
        "rootfs": root,
        "root_mounts": _root_mounts(bootstrap) if root is not None else (),
        # Without a root of its own the container sees the host's, where nothing is to be hidden from anybody else.
        "masked_paths": tuple(filesystem.masked_paths) if root is not None else (),
        "readonly_paths": tuple(filesystem.readonly_paths) if root is not None else (),
        "mounts": _mounts(values),
        "devices": tuple(values.get("devices", {}).values()),
        "lxcfs_root": values.get("lxcfs_root"),
        "network_etc": values.get("network_etc"),
        "bootstrap": bootstrap,
        "provision": _provision(container),
    }


def _isolation(container: Container, network: NetworkSpec | None, namespaces: tuple[NamespaceType, ...]) -> Values:
    """What it has for itself."""
    section = _section(container, Namespace)
    return {
        "hostname": (container.hostname or container.name) if "uts" in namespaces else None,
        "domainname": container.domainname,
        "network": network,
        "namespaces": namespaces,
        "joined_namespaces": tuple(section.get("joined", {}).values()),
        "uid_mappings": tuple(section.get("uid_mappings", ())),
        "gid_mappings": tuple(section.get("gid_mappings", ())),
        "auto_ids": section.get("auto_ids", 0),
        "persisted_namespaces": tuple(section.get("persisted", {}).values()),
        "time_offsets": section.get("time_offsets"),
        "sysctls": _sysctls(container),
    }


def _confinement(container: Container, network: NetworkSpec | None, own_network: bool) -> Values:
    """What it may use."""
    return {
        "cgroup": _cgroup(container),
        "rlimits": tuple(_section(container, Resource).values()),
        "capabilities": _capabilities(container, network, own_network),
        "no_new_privs": container.no_new_privs,
        "apparmor": container.apparmor,
        "selinux_context": container.selinux_context,
        "landlock": _landlock(container),
        "oom_score_adj": container.oom_score_adj,
        "umask": container.umask,
        "personality": container.personality,
        "seccomp": _seccomp(container),
    }


def _supervision(container: Container) -> Values:
    """What its supervisor does."""
    values = container._values
    return {
        "hooks": tuple(hook for hook in _hooks(container) if hook.point not in BARN_POINTS),
        "timers": tuple(values.get("timers", ())),
        "signal_handlers": tuple(values.get("handlers", ())),
        "container_pid_file": container.container_pid_file or default_pid_file(container.name),
        "wait_interval": container.wait_interval,
        "log_level": container.log_level,
        "readiness": tuple(values.get("readiness", ())),
        "healthcheck": values.get("healthcheck"),
        "restart": values.get("restart"),
        "cgroup_hooks": tuple(values.get("cgroup_hooks", ())),
        "after": container.after,
        "after_condition": container.condition,
        "reloadable": values.get("reloadable", RELOADABLE),
    }


def _section(container: Container, kind: type[Section]) -> Values:
    return container._section_of(kind)._values


def _where(container: Container, *names: str) -> Where | None:
    """The last line that made one of the settings."""
    found = [container._sources[name] for name in names if name in container._sources]
    return found[-1] if found else None


def _rootfs(container: Container) -> RootfsSpec | None:
    if "root" not in container._values:
        return None
    return RootfsSpec(
        path=container._values["root"],
        readonly=_section(container, Rootfs).get("readonly", False),
        owner=container._values.get("rootfs_owner"),
        use_legacy_chroot=_section(container, Filesystem).get("use_legacy_chroot", False),
        idmap=_section(container, Rootfs).get("idmap"),
        overlay=_section(container, Rootfs).get("overlay", False),
        trusted_uids=container._load.defaults.trusted_uids,
        where=_where(container, "chroot_to"),
    )


def _network(container: Container) -> NetworkSpec | None:
    if not any(kind._section == "network" for kind in container._sections):
        return None
    from haconiwa.dsl.network_freeze import freeze_network

    return freeze_network(container)


def _namespaces(container: Container, network: NetworkSpec | None) -> tuple[NamespaceType, ...]:
    values, section = container._values, _section(container, Namespace)
    wanted = set(section.get("unshared", ()))
    if any(values.get(name) for name in ("root", "mounts", "independent", "network_etc", "lxcfs_root", "devices")):
        wanted.add("mount")
    if any(section.get(name) for name in ("uid_mappings", "gid_mappings", "auto_ids")):
        wanted.add("user")
    if section.get("time_offsets"):
        wanted.add("time")
    if network is not None and not network.share:
        wanted.add("net")
    if network is not None and network.mode != "none" and "mount" not in section.get("joined", ()):
        wanted.add("mount")  # for /etc/hosts and resolv.conf
    shows_groups = "root" in values or "cgroup" in values.get("independent", ())
    if shows_groups and "cgroup" not in section.get("joined", ()):
        wanted.add("cgroup")  # without one /proc/PID/cgroup tells the host's paths, and a mount shows its hierarchy
    return tuple(kind for kind in NAMESPACE_TYPES if kind in wanted)  # type: ignore[misc]


def _mounts(values: Values) -> tuple[MountSpec, ...]:
    independent: dict[str, MountSpec] = values.get("independent", {})
    roots: list[str] = values.get("roots", [])
    own = [independent[kind] for kind in INDEPENDENT_MOUNTS if kind in independent]
    return (*own, *(_placed(mount, roots, seen_inside) for mount, seen_inside in values.get("mounts", [])))


def _placed(mount: MountSpec, roots: list[str], seen_inside: bool) -> MountSpec:
    """The mount with its destination as seen inside, if it was given as a host path below the root."""
    for root in () if seen_inside else sorted(roots, key=len, reverse=True):
        if mount.destination == root or mount.destination.startswith(root + "/"):
            return replace(mount, destination=mount.destination[len(root) :] or "/")
    return mount


def _cgroup(container: Container) -> CgroupSpec | None:
    """The control groups; None where the file says nothing of them, as most do."""
    if not container.cgroup_name and not any(kind._section.startswith("cgroup") for kind in container._sections):
        return None
    from haconiwa.dsl.cgroup import freeze_cgroup

    return freeze_cgroup(container)


def _capabilities(container: Container, network: NetworkSpec | None, own_network: bool) -> CapabilitiesSpec:
    values = _section(container, Capabilities)
    bounding, ambient = values.get("bounding", frozenset(DEFAULT_CAPABILITIES)), values.get("ambient", frozenset())
    named = values.get("named", frozenset())
    asked = values.get("privileged") or not named.isdisjoint(("audit_read", "all"))
    if bounding is not None and not own_network and not asked:
        bounding -= {"audit_read"}  # the host's audit log is read through its network namespace
    if network is not None and network.egress is not None and bounding is not None:
        # packets made by hand would pass by the rules
        bounding, ambient = bounding - {"net_raw"}, ambient - {"net_raw"}
    return CapabilitiesSpec(
        bounding=bounding,
        ambient=ambient,
        named=named,
        host_network=values.get("host_network", False),
        where=_where(
            container, *(f"capabilities.{name}" for name in ("allow", "drop", "ambient", "reset_to_privileged"))
        ),
    )


def _landlock(container: Container) -> tuple[LandlockRule, ...]:
    """Its rules, without loading a section that the file has not used."""
    used = (section._values for kind, section in container._sections.items() if kind._section == "landlock")
    return tuple(rule for values in used for rule in values.get("rules", ()))


def _sysctls(container: Container) -> tuple[SysctlSpec, ...]:
    if "sysctl" not in container._values:
        return ()
    from haconiwa.spec.confinement import SysctlSpec

    where = _where(container, "sysctl")
    return tuple(SysctlSpec(name=name, value=value, where=where) for name, value in container.sysctl.items())


def _seccomp(container: Container) -> SeccompSpec:
    privileged = _section(container, Capabilities).get("privileged", False)
    if any(kind._section == "seccomp" for kind in container._sections):  # loaded only by those who use it
        return container.seccomp._freeze(privileged=privileged)
    return SeccompSpec(profile="unconfined") if privileged else SeccompSpec()


def _bootstrap(container: Container) -> BootstrapSpec | None:
    values = _section(container, Bootstrap)
    options = {name: values[name] for known in STRATEGIES.values() for name in known if name in values}
    strategy = values.get("strategy") or container._load.defaults.strategy or ""
    if not any(values.get(name) for name in ("strategy", "postprocess", "skip")) and not options:
        return None
    return BootstrapSpec(
        strategy=strategy,
        options=options,
        postprocess=tuple(values.get("postprocess", ())),
        skip=values.get("skip", False),
        where=_where(container, *(f"bootstrap.{name}" for name in (*options, "postprocess", "strategy"))),
    )


def _root_mounts(bootstrap: BootstrapSpec | None) -> tuple[MountSpec, ...]:
    """The host's directories that the strategy ``host`` shows in the root."""
    if bootstrap is None or bootstrap.strategy != "host":
        return ()
    from haconiwa.host.usr import shared_paths

    paths = (*(bootstrap.options.get("paths") or shared_paths()), *bootstrap.options.get("extra", ()))
    return tuple(
        MountSpec(kind="bind", source=path, destination=path, readonly=True, where=bootstrap.where) for path in paths
    )


def _provision(container: Container) -> ProvisionSpec:
    values = _section(container, Provision)
    return ProvisionSpec(
        steps=tuple(values.get("steps", ())),
        skip=values.get("skip", False),
        environ=tuple(sorted(values.get("environ", {}).items())),
        shared_caches=tuple(dict.fromkeys(values.get("shared_caches", ()))),
    )
