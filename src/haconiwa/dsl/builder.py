"""`define()` and what it returns: the container, or the barn of several, that a haco file describes."""

from __future__ import annotations

from haconiwa.dsl import loading
from haconiwa.dsl.bootstrap import Bootstrap, Provision
from haconiwa.dsl.filesystem import Command, Filesystem, Rootfs
from haconiwa.dsl.functions import function
from haconiwa.dsl.hooks import HookSettings
from haconiwa.dsl.live import DictSetting
from haconiwa.dsl.mounts import MountSettings
from haconiwa.dsl.namespace import Namespace
from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.dsl.paths import container_path, host_path
from haconiwa.dsl.place import here
from haconiwa.dsl.privileges import Capabilities, Resource
from haconiwa.dsl.supervision import SupervisionSettings
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.model import RELOADABLE
from haconiwa.spec.names import LOG_LEVELS
from haconiwa.spec.values import (
    GROUPS_MAX,
    Refused,
    between,
    boolean,
    command_line,
    container_name,
    environ_key,
    environ_value,
    host_name,
    items,
    one_of,
    owner_id,
    personality,
    security_label,
    selinux_context,
    text,
    umask,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal, TypeVar

    from haconiwa.dsl.cgroup import Cgroup
    from haconiwa.dsl.landlock import Landlock
    from haconiwa.dsl.loading import Loading
    from haconiwa.dsl.network import Network
    from haconiwa.dsl.paths import StrPath
    from haconiwa.dsl.seccomp import Seccomp
    from haconiwa.errors import Where
    from haconiwa.spec.names import LogLevel, PersonalityName, ReloadWord

    SectionType = TypeVar("SectionType", bound=Section)
    RealIdFunction = TypeVar("RealIdFunction", bound=Callable[[int, int], bool])


def log_level(value: object) -> str:
    """A log level."""
    return one_of(value, LOG_LEVELS, "one of debug info warning error")


SECTIONS: tuple[type[Section], ...] = (
    Bootstrap, Provision, Rootfs, Filesystem, Namespace, Resource, Capabilities, Command,
)  # fmt: skip
"""What a container is divided into, as far as a plain start loads it; see `dsl.sections` for all."""

oom_score_adj = between(-1000, 1000, "a number from -1000 to 1000")
wait_interval = between(1, 3_600_000, "a number of milliseconds")


def _groups(value: object) -> tuple[int | str, ...]:
    groups = tuple(items(value, owner_id, "a list of groups"))
    if len(groups) > GROUPS_MAX:
        raise Refused(f"has more than {GROUPS_MAX} groups")
    return groups


def _metadata_value(value: object) -> str:
    plain = environ_value(value)
    if not plain.isprintable():
        raise Refused("a value has a control character")
    return plain


def _sysctl_name(value: object) -> str:
    from haconiwa.spec.sysctls import sysctl_name

    return sysctl_name(value)


def _sysctl_value(value: object) -> str:
    from haconiwa.spec.sysctls import sysctl_value

    return sysctl_value(value)


class Container(HookSettings, MountSettings, SupervisionSettings):
    """One container. Every setting can be read back; a barn's children start from a copy of the barn's."""

    __slots__ = ("_first_child", "_sections", "_sources")

    if TYPE_CHECKING:
        _sections: dict[type[Section], Section]

    name: Setting[str, str] = Setting(container_name, "", barns_own=True)
    """1-64 of ``A-Z a-z 0-9 _ . -``; made from the haco file's path unless set."""

    hostname: Setting[str, str | None] = Setting(host_name, None)
    """As ``uname -n`` shows; the name unless set. Needs the uts namespace."""

    domainname: Setting[str, str | None] = Setting(host_name, None)
    """The NIS domain name, see setdomainname(2). Needs the uts namespace."""

    init_command: Setting[StrPath | Sequence[StrPath], tuple[str, ...]] = Setting(command_line, ("/bin/bash",))
    """PID 1: a program, or a list of a program and its arguments. No shell is involved."""

    environ: DictSetting = DictSetting(environ_key, environ_value)
    """The program's environment, besides defaults for PATH, HOME, container and TERM."""

    workdir: Setting[StrPath, str] = Setting(container_path, "/")
    """Where the program starts, as seen inside."""

    uid: Setting[int | str, int | str | None] = Setting(owner_id, None)
    """Who the program runs as: a number, or a name of the container's /etc/passwd."""

    gid: Setting[int | str, int | str | None] = Setting(owner_id, None)
    """The program's group; the user's own unless set."""

    groups: Setting[Sequence[int | str], tuple[int | str, ...]] = Setting(_groups, ())
    """Supplementary groups."""

    metadata: DictSetting = DictSetting(text, _metadata_value)
    """Words of your own, shown by `ps --json` and `inspect`."""

    container_pid_file: Setting[StrPath, str | None] = Setting(host_path, None, barns_own=True)
    """Host path of the file that holds the supervisor's pid; ``/run/haconiwa-NAME.pid`` unless set."""

    cgroup_name: Setting[str, str] = Setting(container_name, "")
    """The name of the control groups; the container's unless set."""

    wait_interval: Setting[int, int] = Setting(wait_interval, 50)
    """Milliseconds between the supervisor's looks at what cannot wake it."""

    log_level: Setting[LogLevel, str] = Setting(log_level, "info")
    """How much the supervisor says."""

    no_new_privs: Setting[bool, bool] = Setting(boolean, False)
    """No program inside gains privileges by exec: sudo and ping do not work."""

    apparmor: Setting[str, str | None] = Setting(security_label, None)
    """Name of a loaded AppArmor profile for the program; ``unconfined`` is one."""

    apparmor_profile: Setting[str, str | None] = Setting(security_label, None, kept_as="apparmor")
    """Another name of `apparmor`."""

    selinux_context: Setting[str, str | None] = Setting(selinux_context, None)
    """SELinux context of the program: ``user:role:type:level``."""

    sysctl: DictSetting = DictSetting(_sysctl_name, _sysctl_value)
    """Kernel parameters of the container's own network and ipc namespaces, by name."""

    oom_score_adj: Setting[int, int | None] = Setting(oom_score_adj, None)
    """How likely the kernel ends the program when memory runs out: -1000 never, 1000 first; the caller's unless set."""

    umask: Setting[int | str, int] = Setting(umask, 0o022)
    """The program's umask, such as ``0o027``."""

    personality: Setting[PersonalityName, str | None] = Setting(personality, None)
    """``linux32`` lets ``uname -m`` show a 32-bit machine; ``linux`` or the name of an architecture."""

    def __init__(self, load: Loading, source: Container | None = None) -> None:
        super().__init__(load)
        assign = object.__setattr__
        assign(self, "_first_child", None)
        assign(self, "_sources", {})
        assign(self, "_sections", {})
        if source is not None:
            self._inherit(source)
        self._values["name"] = load.default_name

    def _inherit(self, barn: Container) -> None:
        self._copy_values(barn)
        self._sources.update(barn._sources)
        for name in ("name", "container_pid_file", "daemonize", "cancel_daemonize", "validate_real_id"):
            self._values.pop(name, None)
            self._sources.pop(name, None)
        for kind, section in barn._sections.items():
            self._section_of(kind)._copy_values(section)

    def _section_of(self, kind: type[SectionType]) -> SectionType:
        if kind not in self._sections:
            self._sections[kind] = kind(self._load, self)
        section: SectionType = self._sections[kind]  # type: ignore[assignment]
        return section

    @property
    def bootstrap(self) -> Bootstrap:
        """How the root file system is made."""
        return self._section_of(Bootstrap)

    @property
    def provision(self) -> Provision:
        """What runs in the new root file system."""
        return self._section_of(Provision)

    @property
    def rootfs(self) -> Rootfs:
        """The root file system itself."""
        return self._section_of(Rootfs)

    @property
    def filesystem(self) -> Filesystem:
        """What is hidden or protected in it."""
        return self._section_of(Filesystem)

    @property
    def namespace(self) -> Namespace:
        """Which namespaces are made and entered, and how ids map."""
        return self._section_of(Namespace)

    @property
    def resource(self) -> Resource:
        """Resource limits."""
        return self._section_of(Resource)

    @property
    def cgroup(self) -> Cgroup:
        """Limits of everything in the container together."""
        from haconiwa.dsl.cgroup import Cgroup

        return self._section_of(Cgroup)

    @property
    def capabilities(self) -> Capabilities:
        """What the container may do."""
        return self._section_of(Capabilities)

    @property
    def landlock(self) -> Landlock:
        """What its programs may reach."""
        from haconiwa.dsl.landlock import Landlock

        return self._section_of(Landlock)

    @property
    def network(self) -> Network:
        """Where the container is connected, and what may pass."""
        from haconiwa.dsl.network import Network  # most containers have none of their own

        return self._section_of(Network)

    @property
    def seccomp(self) -> Seccomp:
        """Which system calls it may make."""
        from haconiwa.dsl.seccomp import Seccomp

        return self._section_of(Seccomp)

    @property
    def command(self) -> Command:
        """Where the streams of a container in the background lead."""
        return self._section_of(Command)

    def support_reload(self, *what: ReloadWord) -> None:
        """Say what a reload may change; without it everything that it can, with no word nothing.

        Args:
            *what: ``cgroup`` and ``resource``.
        """
        with Recording(self, "support_reload"):
            self._values["reloadable"] = tuple(one_of(word, RELOADABLE, '"cgroup" or "resource"') for word in what)

    def acts_as_session_leader(self) -> None:
        """Accepted for old files: every program leads a session of its own anyway."""
        with Recording(self, "acts_as_session_leader"):
            self._values["session_leader"] = True

    def skip_bootstrap(self) -> None:
        """Make no root file system for this container."""
        with Recording(self, "skip_bootstrap"):
            self.bootstrap._values["skip"] = True

    def skip_provision(self) -> None:
        """Provision nothing for this container."""
        with Recording(self, "skip_provision"):
            self.provision._values["skip"] = True


class Definition(Container):
    """What `define` returns: one container, or, once `define` was called on it, the start of several."""

    __slots__ = ("_children", "_defined_at")
    _takes_barn_points = True

    if TYPE_CHECKING:
        _children: list[Container]
        _defined_at: Where

    def __init__(self, load: Loading) -> None:
        super().__init__(load)
        object.__setattr__(self, "_children", [])
        object.__setattr__(self, "_defined_at", here())
        self._values["wait_interval"] = load.defaults.wait_interval
        self._values["log_level"] = load.defaults.log_level

    def define(
        self, *, after: str | Sequence[str] | None = None, condition: Literal["ready", "started"] | None = None
    ) -> Container:
        """Add a container to the barn. It starts from a copy of what the barn has now.

        Args:
            after: Other containers of the barn, as the setting `after`.
            condition: As the setting `condition`.
        """
        with Recording(self, "define", barns_own=True) as where:
            pass
        child = Container(self._load, self)
        child._sources["define"] = where
        if self._first_child is None:
            object.__setattr__(self, "_first_child", where)
        self._children.append(child)
        if after is not None:
            child.after = after
        if condition is not None:
            child.condition = condition
        return child

    def daemonize(self) -> None:
        """Run in the background."""
        with Recording(self, "daemonize", barns_own=True):
            self._values["daemonize"] = True

    def cancel_daemonize(self) -> None:
        """Run in the foreground after all."""
        with Recording(self, "cancel_daemonize", barns_own=True):
            self._values["daemonize"] = False

    def validate_real_id(self, function: RealIdFunction) -> RealIdFunction:
        """Decide who may use this file. Can be used as a decorator.

        Args:
            function: Called with the real user and group id of the caller; true lets them.
        """
        with Recording(self, "validate_real_id", barns_own=True):
            self._values["validate_real_id"] = check_real_id(function)
        return function


def check_real_id(value: object) -> Callable[..., object]:
    """A function for `Definition.validate_real_id`."""
    return function(value, 2, coroutine=False)


def define() -> Definition:
    """Begin the description of a container, once in a haco file.

    Returns:
        What the settings are set on, usually as ``with define() as config:``.

    Raises:
        ConfigError: Nothing is being loaded, or it is the global config.
    """
    load = loading.current()
    if load.is_global:
        raise ConfigError(Problem("define() belongs in a haco file, this is the global config", here()))
    barn = Definition(load)
    if load.barn is None:
        load.barn = barn
    else:
        first = load.barn._defined_at
        what = f"define() is called a second time, first at {first}"
        load.refuse(what, here(), "several containers in one file: barn.define()")
    return barn
