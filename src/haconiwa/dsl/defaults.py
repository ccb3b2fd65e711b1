"""`configure()` and what it returns: the defaults that the global config sets for every haco file."""

from __future__ import annotations

from haconiwa.dsl import loading
from haconiwa.dsl.bootstrap import strategy_name
from haconiwa.dsl.builder import log_level, wait_interval
from haconiwa.dsl.node import Node, Setting
from haconiwa.dsl.paths import host_path
from haconiwa.dsl.place import here
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.model import DEFAULT_BRIDGE, DEFAULT_BRIDGE_IP, Defaults
from haconiwa.spec.values import ID_MAX, boolean, items, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from haconiwa.dsl.loading import Loading
    from haconiwa.dsl.paths import StrPath
    from haconiwa.spec.names import LogLevel, StrategyName


def _uids(value: object) -> tuple[int, ...]:
    return tuple(items(value, lambda uid: number(uid, 0, ID_MAX), "a list of user ids"))


def _bridge_name(value: object) -> str:
    from haconiwa.dsl.network_values import interface_name

    return interface_name(value)


def _bridge_ip(value: object) -> str:
    from haconiwa.dsl.network_values import prefixed

    return prefixed(value)


class Configuration(Node):
    """Defaults for every haco file on this machine."""

    __slots__ = ("_first_child", "_sources")

    log_level: Setting[LogLevel, str] = Setting(log_level, "info")
    """How much supervisors say."""

    wait_interval: Setting[int, int] = Setting(wait_interval, 50)
    """Milliseconds between a supervisor's looks at what cannot wake it."""

    strategy: Setting[StrategyName, str | None] = Setting(strategy_name, None)
    """Bootstrap strategy of `haconiwa new`, and of a haco file that uses `bootstrap` and names none."""

    roots: Setting[StrPath, str | None] = Setting(host_path, None)
    """Host folder below which `haconiwa new` places root file systems."""

    bridge_name: Setting[str, str] = Setting(_bridge_name, DEFAULT_BRIDGE)
    """The bridge that containers are connected to unless they name one."""

    bridge_ip: Setting[str, str] = Setting(_bridge_ip, DEFAULT_BRIDGE_IP)
    """Its address with the length of its network."""

    trusted_uids: Setting[Sequence[int], tuple[int, ...]] = Setting(_uids, ())
    """Whose haco files may be loaded besides root's and the caller's own. They run with the caller's privileges."""

    syslog: Setting[bool, bool] = Setting(boolean, True)
    """Whether supervisors in the background tell journald, or else a syslog daemon, what they say to their log."""

    def __init__(self, load: Loading) -> None:
        super().__init__(load)
        object.__setattr__(self, "_first_child", None)
        object.__setattr__(self, "_sources", {})

    def _freeze(self) -> Defaults:
        return Defaults(
            log_level=self.log_level,
            wait_interval=self.wait_interval,
            strategy=self.strategy,
            roots=self.roots,
            bridge_name=self.bridge_name,
            bridge_ip=self.bridge_ip,
            trusted_uids=self.trusted_uids,
            syslog=self.syslog,
        )


def configure() -> Configuration:
    """Begin the defaults for every haco file, in the global config.

    Returns:
        What they are set on, usually as ``with configure() as g:``.

    Raises:
        ConfigError: Nothing is being loaded, or it is a haco file.
    """
    load = loading.current()
    if not load.is_global:
        raise ConfigError(Problem("configure() belongs in the global config, this is a haco file", here()))
    if load.configuration is None:
        load.configuration = Configuration(load)
    return load.configuration
