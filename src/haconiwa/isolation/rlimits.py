"""Resource limits. See: getrlimit(2)."""

from __future__ import annotations

import errno
import resource

from haconiwa.isolation.step import INSIDE, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, RlimitSpec


class RaiseRlimit(Step):
    """Raise a hard limit where that is asked for, while the process still has the privilege."""

    __slots__ = ("limit",)

    def __init__(self, limit: RlimitSpec) -> None:
        super().__init__(INSIDE, limit.where)
        self.limit = limit

    def describe(self) -> str:
        return f"raise the hard limit {self.limit.name} to {_shown(self.limit.hard)} if it is lower"

    def execute(self, site: Site) -> None:
        soft, hard = resource.getrlimit(_number(self.limit))
        wanted = _value(self.limit.hard)
        if hard != resource.RLIM_INFINITY and (wanted == resource.RLIM_INFINITY or wanted > hard):
            _set(self.limit, soft, wanted)

    def hint(self, number: int) -> str:
        if number == errno.EPERM:
            return "this host lets nobody without CAP_SYS_RESOURCE raise a hard limit: ask for less"
        return ""


class SetRlimit(Step):
    """Set one limit, after everything else: the smallest ones would hit this process too."""

    __slots__ = ("limit",)

    def __init__(self, limit: RlimitSpec) -> None:
        super().__init__(INSIDE, limit.where)
        self.limit = limit

    def describe(self) -> str:
        return f"set the limit {self.limit.name} to {_shown(self.limit.soft)}, hard {_shown(self.limit.hard)}"

    def execute(self, site: Site) -> None:
        _set(self.limit, _value(self.limit.soft), _value(self.limit.hard))


def _set(limit: RlimitSpec, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(_number(limit), (soft, hard))
    except ValueError as error:  # how the module tells EPERM
        raise PermissionError(errno.EPERM, str(error)) from None


def _number(limit: RlimitSpec) -> int:
    number: int = getattr(resource, f"RLIMIT_{limit.name}")
    return number


def _value(limit: int | None) -> int:
    return resource.RLIM_INFINITY if limit is None else limit


def _shown(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)


def plan_raising(spec: ContainerSpec) -> list[Step]:
    """The steps before privileges are given up."""
    return [RaiseRlimit(limit) for limit in spec.rlimits]


def plan(spec: ContainerSpec) -> list[Step]:
    """One step a limit, in file order."""
    return [SetRlimit(limit) for limit in spec.rlimits]
