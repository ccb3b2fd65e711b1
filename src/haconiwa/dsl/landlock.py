"""The section ``config.landlock``: what the container's programs may reach, whatever their ids and modes allow."""

from __future__ import annotations

from haconiwa.dsl.node import Recording, Section
from haconiwa.dsl.paths import container_path
from haconiwa.spec.confinement import LandlockRule
from haconiwa.spec.values import Refused, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from haconiwa.dsl.paths import StrPath
    from haconiwa.spec.confinement import LandlockAccess


class Landlock(Section):
    """With the first rule all is forbidden that no rule allows, see landlock(7). Paths are those inside."""

    __slots__ = ()
    _section = "landlock"

    def allow_read(self, *paths: StrPath) -> None:
        """Let files be read and directories be listed, there and below."""
        self._allow_paths("read", paths)

    def allow_write(self, *paths: StrPath) -> None:
        """Let files be read, written, made, renamed and removed, there and below."""
        self._allow_paths("write", paths)

    def allow_execute(self, *paths: StrPath) -> None:
        """Let files be read and executed, there and below."""
        self._allow_paths("execute", paths)

    def allow_bind(self, *ports: int) -> None:
        """Let programs listen on these TCP ports; without such a rule any port is allowed. Needs Linux 6.7."""
        self._allow_ports("bind", ports)

    def allow_connect(self, *ports: int) -> None:
        """Let programs connect to these TCP ports; without such a rule any port is allowed. Needs Linux 6.7."""
        self._allow_ports("connect", ports)

    def _allow_paths(self, access: LandlockAccess, paths: tuple[object, ...]) -> None:
        with Recording(self, f"allow_{access}") as where:
            if not paths:
                raise Refused("names no path")
            self._add(LandlockRule(access=access, path=container_path(path), where=where) for path in paths)

    def _allow_ports(self, access: LandlockAccess, ports: tuple[object, ...]) -> None:
        with Recording(self, f"allow_{access}") as where:
            if not ports:
                raise Refused("names no port")
            checked = [number(port, 0, 65535, "a port") for port in ports]
            self._add(LandlockRule(access=access, port=port, where=where) for port in checked)

    def _add(self, rules: Iterable[LandlockRule]) -> None:
        self._values.setdefault("rules", []).extend(rules)
