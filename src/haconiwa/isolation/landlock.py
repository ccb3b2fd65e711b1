"""What Landlock lets the container's programs reach. See: landlock(7).

The rules are made once all mounts are in place, by descriptors of the container's root, and put in force while the
process still may.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import HostError
from haconiwa.isolation.confined import is_directory, open_inside
from haconiwa.isolation.step import CHILD, INSIDE, SUPERVISOR, Site, Step
from haconiwa.kernel.landlock import (
    LANDLOCK_ACCESS_FS,
    LANDLOCK_ACCESS_NET,
    NET_VERSION,
    landlock_access,
    landlock_allow_path,
    landlock_allow_port,
    landlock_create_ruleset,
    landlock_restrict_self,
    landlock_version,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where
    from haconiwa.spec.confinement import LandlockRule
    from haconiwa.spec.model import ContainerSpec

_FS = LANDLOCK_ACCESS_FS
_READ = _FS.READ_FILE | _FS.READ_DIR
_WRITE = _READ | (
    _FS.WRITE_FILE | _FS.REMOVE_DIR | _FS.REMOVE_FILE | _FS.MAKE_CHAR | _FS.MAKE_DIR | _FS.MAKE_REG | _FS.MAKE_SOCK
    | _FS.MAKE_FIFO | _FS.MAKE_BLOCK | _FS.MAKE_SYM | _FS.REFER | _FS.TRUNCATE | _FS.IOCTL_DEV
)  # fmt: skip
_ACCESS = {"read": _READ, "write": _WRITE, "execute": _READ | _FS.EXECUTE}
_OF_FILES = _FS.EXECUTE | _FS.WRITE_FILE | _FS.READ_FILE | _FS.TRUNCATE | _FS.IOCTL_DEV
_PORTS = {"bind": LANDLOCK_ACCESS_NET.BIND_TCP, "connect": LANDLOCK_ACCESS_NET.CONNECT_TCP}
_RULESET = "landlock rules"


class MakeRuleset(Step):
    """Begin with everything forbidden that this kernel can forbid."""

    __slots__ = ("ports",)

    def __init__(self, ports: int, where: Where | None) -> None:
        super().__init__(SUPERVISOR, where)
        self.ports = ports

    def describe(self) -> str:
        return "make the Landlock rules"

    def execute(self, site: Site) -> None:
        try:
            version = landlock_version()
        except OSError as error:
            built_in = error.errno == errno.EOPNOTSUPP
            raise HostError(
                f"cannot {self.describe()}",
                why="Landlock is not active on this host" if built_in else "this kernel has no Landlock",
                hint="add landlock to lsm= of the boot parameters" if built_in else "it takes Linux 5.13",
            ) from None
        if self.ports and version < NET_VERSION:
            raise HostError(
                f"cannot {self.describe()}", why="this kernel's Landlock knows no ports", hint="it takes Linux 6.7"
            )
        site.trees[_RULESET] = landlock_create_ruleset(landlock_access(version), self.ports)


class AllowPath(Step):
    """Allow access to a path inside, and to all below."""

    __slots__ = ("rule",)

    def __init__(self, rule: LandlockRule) -> None:
        super().__init__(CHILD, rule.where)
        self.rule = rule

    def describe(self) -> str:
        return f'let Landlock allow to {self.rule.access} "{self.rule.path}"'

    def execute(self, site: Site) -> None:
        fd = open_inside(site.root_fd, self.rule.path)
        try:
            access = _ACCESS[self.rule.access] & landlock_access(landlock_version())
            landlock_allow_path(site.trees[_RULESET], access if is_directory(fd) else access & _OF_FILES, fd)
        finally:
            os.close(fd)

    def hint(self, number: int) -> str:
        return "the path must exist inside when the container starts" if number == errno.ENOENT else ""


class AllowPort(Step):
    """Allow to use a TCP port."""

    __slots__ = ("rule",)

    def __init__(self, rule: LandlockRule) -> None:
        super().__init__(CHILD, rule.where)
        self.rule = rule

    def describe(self) -> str:
        return f"let Landlock allow to {self.rule.access} the TCP port {self.rule.port}"

    def execute(self, site: Site) -> None:
        landlock_allow_port(site.trees[_RULESET], _PORTS[self.rule.access], self.rule.port)


class RestrictSelf(Step):
    """Put the rules in force, while CAP_SYS_ADMIN is still there: without it that takes no_new_privs."""

    def __init__(self, where: Where | None) -> None:
        super().__init__(INSIDE, where)

    def describe(self) -> str:
        return "put the Landlock rules in force"

    def execute(self, site: Site) -> None:
        landlock_restrict_self(site.trees[_RULESET])


def plan(spec: ContainerSpec) -> list[Step]:
    """All steps, each for its place."""
    if not spec.landlock:
        return []
    where = spec.landlock[0].where
    ports = 0
    for rule in spec.landlock:
        ports |= _PORTS.get(rule.access, 0)
    allowed = [AllowPath(rule) if rule.path else AllowPort(rule) for rule in spec.landlock]
    return [MakeRuleset(ports, where), *allowed, RestrictSelf(where)]
