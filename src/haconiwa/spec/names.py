"""The words that the settings know: capabilities, limits, signals, strategies."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    LogLevel = Literal["debug", "info", "warning", "error"]
    SignalName = Literal["USR1", "USR2", "TTIN", "TTOU"]
    ReloadWord = Literal["cgroup", "resource"]
    LimitName = Literal[
        "AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "MSGQUEUE",
        "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
    ]  # fmt: skip
    PersonalityName = Literal[
        "linux", "linux64", "x86_64", "amd64", "aarch64", "arm64",
        "linux32", "x86", "i386", "i486", "i586", "i686", "arm", "armel", "armhf", "armv7l", "armv8l",
    ]  # fmt: skip
    StrategyName = Literal[
        "lxc", "lxc-create", "debootstrap", "git", "git-clone", "tarball", "unarchive", "oci", "shell", "python", "host"
    ]
    IndependentMount = Literal["procfs", "sysfs", "devtmpfs", "devpts", "shm", "mqueue", "cgroup"]
    HidePid = Literal["noaccess", "invisible", "ptraceable"]
    BarnPoint = Literal["setup", "system_failure", "teardown"]
    ContainerPoint = Literal[
        "before_fork", "after_network_created", "immediately_after_fork_on_parent", "after_fork",
        "after_network_initialized", "before_chroot", "after_chroot", "before_start_wait", "teardown_container",
        "after_failure", "after_reload",
    ]  # fmt: skip
    CapabilityName = Literal[
        "all", "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
        "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
        "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
        "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
        "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
        "checkpoint_restore",
    ]  # fmt: skip

LOG_LEVELS = ("debug", "info", "warning", "error")

SIGNALS = ("USR1", "USR2", "TTIN", "TTOU")
"""The signals a supervisor leaves to the user, without ``SIG``."""

LIMITS = (
    "AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "MSGQUEUE",
    "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
)  # fmt: skip
"""Resource limits without ``RLIMIT_``, see getrlimit(2)."""

PERSONALITIES = {
    **dict.fromkeys(("linux", "linux64", "x86_64", "amd64", "aarch64", "arm64"), "linux"),
    **dict.fromkeys(
        ("linux32", "x86", "i386", "i486", "i586", "i686", "arm", "armel", "armhf", "armv7l", "armv8l"), "linux32"
    ),
}
"""Execution domains under the names of setarch(8) and of ``lxc.arch``, see personality(2)."""

STRATEGIES = {
    "lxc": ("project_name", "os_type", "template_options", "cache"),
    "debootstrap": ("arch", "variant", "components", "debian_release", "mirror_url", "keyring", "tool", "cache"),
    "git": ("git_url", "git_options", "git_branch", "git_depth", "git_submodules", "cache"),
    "tarball": ("archive_path", "sha256", "tar_options", "allow_devices", "max_size", "timeout_sec", "cache"),
    "oci": ("image", "arch", "tls_verify", "allow_devices", "max_size", "timeout_sec", "cache"),
    "shell": ("code", "cache"),
    "python": ("code", "cache"),
    "host": ("paths", "extra"),
}
"""Bootstrap strategies and the attributes that are theirs."""

STRATEGY_ALIASES = {"lxc-create": "lxc", "git-clone": "git", "unarchive": "tarball"}

PACKAGE_CACHES = {"apt": "/var/cache/apt/archives", "apk": "/etc/apk/cache", "dnf": "/var/cache/dnf"}
"""Package managers, and where they keep what they have downloaded, as seen inside."""

REQUIRED_OPTIONS = {
    "lxc": ("os_type",),
    "debootstrap": (),
    "git": ("git_url",),
    "tarball": ("archive_path",),
    "oci": ("image",),
    "shell": ("code",),
    "python": ("code",),
    "host": (),
}
"""What a strategy cannot do without."""

CHILD_POINTS = ("after_fork", "after_network_initialized", "before_chroot", "after_chroot")
"""Hook points that run in the container's first process before its program."""
