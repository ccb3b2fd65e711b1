"""Resource limits. See: getrlimit(2)."""

from __future__ import annotations

import errno
import os

from haconiwa.isolation.step import INSIDE, SUPERVISOR, Site, Step
from haconiwa.kernel.rlimits import RLIM_INFINITY, RLIMIT, getrlimit, setrlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, RlimitSpec


class RaiseRlimit(Step):
    """Raise a hard limit where that is asked for, on the host, because in a user namespace nobody may."""

    __slots__ = ("limit",)

    def __init__(self, limit: RlimitSpec) -> None:
        super().__init__(SUPERVISOR, limit.where)
        self.limit = limit

    def describe(self) -> str:
        return f"raise the hard limit {self.limit.name} to {_shown(self.limit.hard)} if it is lower"

    def execute(self, site: Site) -> None:
        soft, hard = getrlimit(RLIMIT[self.limit.name])
        if _value(self.limit.hard) > hard:
            setrlimit(RLIMIT[self.limit.name], soft, _value(self.limit.hard))

    def hint(self, number: int) -> str:
        if number != errno.EPERM:
            return ""
        hard = getrlimit(RLIMIT[self.limit.name])[1]
        if os.geteuid() != 0:
            return f"user {os.geteuid()} may ask for {hard} at most: only root raises a hard limit"
        if self.limit.name == "NOFILE":
            return f"root may ask for {hard} at most here: raising it takes CAP_SYS_RESOURCE, and fs.nr_open bounds it"
        return f"root may ask for {hard} at most here: raising it takes CAP_SYS_RESOURCE"


class SetRlimit(Step):
    """Set one limit, after everything else: the smallest ones would hit this process too."""

    __slots__ = ("limit",)

    def __init__(self, limit: RlimitSpec) -> None:
        super().__init__(INSIDE, limit.where)
        self.limit = limit

    def describe(self) -> str:
        return f"set the limit {self.limit.name} to {_shown(self.limit.soft)}, hard {_shown(self.limit.hard)}"

    def execute(self, site: Site) -> None:
        setrlimit(RLIMIT[self.limit.name], _value(self.limit.soft), _value(self.limit.hard))


class WithoutCoreDumps(Step):
    """Let a program that crashes leave no core file behind; it may raise the limit again itself."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "set the soft limit CORE to 0"

    def execute(self, site: Site) -> None:
        setrlimit(RLIMIT.CORE, 0, getrlimit(RLIMIT.CORE)[1])


def _value(limit: int | None) -> int:
    return RLIM_INFINITY if limit is None else limit


def _shown(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)


def plan_raising(spec: ContainerSpec) -> list[Step]:
    """The steps before the container's process is made."""
    return [RaiseRlimit(limit) for limit in spec.rlimits]


def plan(spec: ContainerSpec) -> list[Step]:
    """One step a limit, in file order; core files are not wanted unless the file says so."""
    without = [] if any(limit.name == "CORE" for limit in spec.rlimits) else [WithoutCoreDumps()]
    return [*without, *(SetRlimit(limit) for limit in spec.rlimits)]
