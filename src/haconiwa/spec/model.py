"""What a container is: frozen records in the vocabulary of the OCI runtime specification.

The DSL ends in a `BarnSpec`; everything below it reads these records and nothing else of the DSL.
"""

from __future__ import annotations

from haconiwa.errors import Where
from haconiwa.spec.build import ProvisionSpec
from haconiwa.spec.record import Record
from haconiwa.spec.seccomp import SeccompSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from haconiwa.spec.build import BootstrapSpec
    from haconiwa.spec.cgroups import CgroupSpec
    from haconiwa.spec.confinement import LandlockRule, PersistedNamespace, SysctlSpec, TimeOffsets
    from haconiwa.spec.devices import DeviceSpec
    from haconiwa.spec.network import NetworkSpec
    from haconiwa.spec.supervision import CgroupHookSpec, HealthcheckSpec, ReadinessSpec, RestartSpec

    NamespaceType = Literal["mount", "ipc", "uts", "pid", "net", "user", "cgroup", "time"]
    MountKind = Literal["bind", "filesystem", "procfs", "sysfs", "devtmpfs", "devpts", "shm", "mqueue", "cgroup"]
    OnError = Literal["abort", "continue"]

NAMESPACE_TYPES = ("mount", "ipc", "uts", "pid", "net", "user", "cgroup", "time")
"""The words of `namespace.unshare`."""

INDEPENDENT_MOUNTS = ("procfs", "sysfs", "devtmpfs", "devpts", "shm", "mqueue", "cgroup")
"""The words of `mount_independent`, in the order in which they are mounted."""

RELOADABLE = ("cgroup", "resource")
"""The words of `support_reload`."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DEFAULT_BRIDGE = "haconiwa0"
DEFAULT_BRIDGE_IP = "10.0.0.1/24"
"""The bridge that containers with a network are connected to, and that `haconiwa new -N` makes."""

DEFAULT_CAPABILITIES = (
    "audit_read", "chown", "dac_override", "fowner", "fsetid", "net_bind_service", "net_raw",
    "setgid", "setfcap", "setpcap", "setuid",
)  # fmt: skip

DEFAULT_MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip

DEFAULT_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class RootfsSpec(Record):
    """The root file system.

    Attributes:
        path: Absolute path on the host.
        readonly: Mount it read-only, with everything below.
        owner: (uid, gid) of the directory after `create`, host ids; None leaves it.
        use_legacy_chroot: chroot(2) instead of pivot_root(2).
        idmap: In a user namespace, show its files with the container's ids; None when its owner is not mapped.
        overlay: The container writes to a layer of its own, and the directory is never changed.
        ephemeral: That layer is thrown away when the container ends.
        trusted_uids: Who may own the folders above it when root makes or removes it, besides root.
    """

    path: str
    readonly: bool = False
    owner: tuple[int, int] | None = None
    use_legacy_chroot: bool = False
    idmap: bool | None = None
    overlay: bool = False
    ephemeral: bool = False
    trusted_uids: tuple[int, ...] = ()
    where: Where | None = None


class MountSpec(Record):
    """One mount.

    Attributes:
        kind: ``bind``, ``filesystem`` (with `fstype`), or one of `INDEPENDENT_MOUNTS`.
        source: Absolute host path of a bind mount, or the file system's source name.
        destination: Absolute path as seen inside the container.
        fstype: As in /proc/filesystems; only for ``filesystem``.
        options: Comma-separated, as for mount(8) -o; flags and the file system's own.
        readonly: Also for everything below a bind mount when `recursive`.
        optional: A missing source is passed over.
        recursive: A bind mount takes the mounts below its source along.
        host: ``devtmpfs`` only: the host's own /dev instead of a private one.
        criu_ext_key: Name of the mount in a checkpoint; nothing reads it yet.
    """

    kind: MountKind
    source: str
    destination: str
    fstype: str = ""
    options: str = ""
    readonly: bool = False
    optional: bool = False
    recursive: bool = True
    host: bool = False
    criu_ext_key: str | None = None
    where: Where | None = None


class IdMapping(Record):
    """One line of uid_map or gid_map, see user_namespaces(7)."""

    container_id: int
    host_id: int
    size: int


class JoinedNamespace(Record):
    """An existing namespace to enter, by the host path of its nsfs file."""

    type: NamespaceType
    path: str
    where: Where | None = None


class RlimitSpec(Record):
    """One resource limit; None means unlimited. `name` without ``RLIMIT_``."""

    name: str
    soft: int | None
    hard: int | None
    where: Where | None = None


class CapabilitiesSpec(Record):
    """Capability names in lower case without ``cap_``; None stands for every capability the kernel has.

    `bounding` are also the permitted and effective ones; `ambient` are inheritable as well. `named` are those that the
    file allowed by name. `host_network` lets net_admin rule the host's network.
    """

    bounding: frozenset[str] | None = frozenset(DEFAULT_CAPABILITIES)
    ambient: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    host_network: bool = False
    where: Where | None = None


class UserSpec(Record):
    """Who the program runs as. Names are looked up in the container's own passwd and group.

    Attributes:
        uid: Number, or a name; None is 0.
        gid: Number, or a name; None takes the group from passwd, else the uid's number.
        groups: Supplementary groups, numbers or names.
    """

    uid: int | str | None = None
    gid: int | str | None = None
    groups: tuple[int | str, ...] = ()
    where: Where | None = None


class StdioSpec(Record):
    """Where a daemon's stdin, stdout or stderr leads: a path in the container or one on the host."""

    file: str | None = None
    host_file: str | None = None
    where: Where | None = None


class HookSpec(Record):
    """A function at a point of a container's life, see `HOOK_POINTS`; interrupted after `timeout_s`."""

    point: str
    function: Callable[[Any], Any]
    on_error: OnError
    timeout_s: float | None = None
    where: Where | None = None


class TimerSpec(Record):
    """An async hook: `function` after `first_s` seconds, then every `interval_s`, at most `limit_count` times.

    `interval_s` None means once; `limit_count` None means without end.
    """

    function: Callable[[Any], Any]
    first_s: float
    interval_s: float | None = None
    limit_count: int | None = None
    timeout_s: float | None = None
    where: Where | None = None


class SignalHandlerSpec(Record):
    """A function for a signal that the supervisor receives; `signal` is a name without ``SIG``."""

    signal: str
    function: Callable[[Any], Any]
    timeout_s: float | None = None
    where: Where | None = None


class ContainerSpec(Record):
    """One container, complete and checked.

    Attributes:
        hostname: None without the uts namespace.
        init_command: argv, never empty.
        environ: What the file asks for; defaults are added at the start.
        root_mounts: Bind mounts that make up the root itself (the `host` strategy's /usr).
        namespaces: Made new for the container, words of `NAMESPACE_TYPES`.
        joined_namespaces: Entered by path.
        devices: What `add_device` asks for.
        auto_ids: How many ids of /etc/subuid and /etc/subgid to map; 0 takes the mappings as they are.
        unprivileged: An ordinary user starts it, whose every right comes from a user namespace.
        keeps_groups: Nothing in it may change its supplementary groups, because no group but the caller's is mapped.
        lxcfs_root: Host path of a mounted lxcfs, whose files cover those of /proc; None for none.
        network_etc: Host folder whose resolv.conf and hosts are shown in /etc; None for none.
        after: Containers of the same barn that are started before, and stopped after.
        after_condition: ``ready``, or ``started``: what those must be.
        reloadable: What a reload may change, words of `RELOADABLE`.
        apparmor: Name of a profile; None leaves it to the host's rules.
        selinux_context: ``user:role:type:level``; None leaves it to the host's policy.
        oom_score_adj: See proc_pid_oom_score_adj(5); None for the caller's.
        personality: A word of `haconiwa.spec.names.PERSONALITIES`; None for the caller's.
        network: None where the network is the host's, or nothing is said about it.
        stdio: By stream name: stdin, stdout, stderr; for daemons.
        sources: Where a setting was made, by its dotted name ("rootfs.readonly").
    """

    name: str
    hostname: str | None = None
    domainname: str | None = None
    init_command: tuple[str, ...] = ("/bin/bash",)
    environ: Mapping[str, str]
    workdir: str = "/"
    user: UserSpec = UserSpec()
    rootfs: RootfsSpec | None = None
    root_mounts: tuple[MountSpec, ...] = ()
    masked_paths: tuple[str, ...] = DEFAULT_MASKED_PATHS
    readonly_paths: tuple[str, ...] = DEFAULT_READONLY_PATHS
    mounts: tuple[MountSpec, ...] = ()
    devices: tuple[DeviceSpec, ...] = ()
    lxcfs_root: str | None = None
    network_etc: str | None = None
    network: NetworkSpec | None = None
    namespaces: tuple[NamespaceType, ...] = ()
    joined_namespaces: tuple[JoinedNamespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    auto_ids: int = 0
    unprivileged: bool = False
    keeps_groups: bool = False
    cgroup: CgroupSpec | None = None
    rlimits: tuple[RlimitSpec, ...] = ()
    capabilities: CapabilitiesSpec = CapabilitiesSpec()
    no_new_privs: bool = False
    seccomp: SeccompSpec = SeccompSpec()
    persisted_namespaces: tuple[PersistedNamespace, ...] = ()
    time_offsets: TimeOffsets | None = None
    apparmor: str | None = None
    selinux_context: str | None = None
    landlock: tuple[LandlockRule, ...] = ()
    sysctls: tuple[SysctlSpec, ...] = ()
    oom_score_adj: int | None = None
    umask: int = 0o022
    personality: str | None = None
    session_leader: bool = False
    hooks: tuple[HookSpec, ...] = ()
    timers: tuple[TimerSpec, ...] = ()
    signal_handlers: tuple[SignalHandlerSpec, ...] = ()
    bootstrap: BootstrapSpec | None = None
    provision: ProvisionSpec = ProvisionSpec()
    stdio: Mapping[str, StdioSpec]
    metadata: Mapping[str, str]
    container_pid_file: str = ""
    wait_interval: int = 50
    log_level: str = "info"
    reloadable: tuple[str, ...] = RELOADABLE
    readiness: tuple[ReadinessSpec, ...] = ()
    healthcheck: HealthcheckSpec | None = None
    restart: RestartSpec | None = None
    cgroup_hooks: tuple[CgroupHookSpec, ...] = ()
    after: tuple[str, ...] = ()
    after_condition: str = "ready"
    sources: Mapping[str, Where]

    def hooks_at(self, point: str) -> tuple[HookSpec, ...]:
        """The hooks of one point, in the order in which they were added."""
        return tuple(hook for hook in self.hooks if hook.point == point)


class Defaults(Record):
    """What the global config says.

    Attributes:
        strategy: Bootstrap strategy for `new`, and for a haco file that names none; None where nothing was said.
        roots: Host folder below which `new` places root file systems.
        bridge_name, bridge_ip: The bridge that containers are connected to by default.
        trusted_uids: Whose haco files may be loaded besides root's and the caller's own.
        syslog: Supervisors in the background tell journald or syslog too what they say.
    """

    log_level: str = "info"
    wait_interval: int = 50
    strategy: str | None = None
    roots: str | None = None
    bridge_name: str = DEFAULT_BRIDGE
    bridge_ip: str = DEFAULT_BRIDGE_IP
    trusted_uids: tuple[int, ...] = ()
    syslog: bool = True


class BarnSpec(Record):
    """One haco file: its containers and what belongs to all of them.

    Attributes:
        file: Real path of the haco file.
        name: The barn's own name; of a single container, that container's.
        container_pid_file: Set on a barn of several containers: holds the barn process's pid; else empty.
        hooks: Those of the points setup, teardown and system_failure.
        validate_real_id: Decides by real uid and gid who may use this file; None lets everybody.
        syslog: In the background, what supervisors say goes to journald or syslog as well.
    """

    file: str
    name: str
    container_pid_file: str = ""
    containers: tuple[ContainerSpec, ...]
    daemonize: bool = False
    validate_real_id: Callable[[int, int], bool] | None = None
    hooks: tuple[HookSpec, ...] = ()
    syslog: bool = True

    def hooks_at(self, point: str) -> tuple[HookSpec, ...]:
        """The barn's hooks of one point, in the order in which they were added."""
        return tuple(hook for hook in self.hooks if hook.point == point)


BARN_POINTS = ("setup", "system_failure", "teardown")
"""Hook points that run in the barn process."""

ABORT_POINTS = (
    "setup", "before_fork", "after_network_created", "immediately_after_fork_on_parent",
    "after_fork", "after_network_initialized", "before_chroot", "after_chroot",
)  # fmt: skip
"""Hook points before the container's program runs: an error stops the start unless ``on_error="continue"``."""

AFTER_POINTS = (
    "before_start_wait",
    "after_reload",
    "teardown_container",
    "after_failure",
    "system_failure",
    "teardown",
)
"""Hook points after it: an error is reported and life goes on unless ``on_error="abort"``."""

HOOK_POINTS = ABORT_POINTS + AFTER_POINTS
