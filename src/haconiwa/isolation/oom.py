"""How likely the kernel ends the container's program when memory runs out. See: proc_pid_oom_score_adj(5)."""

from __future__ import annotations

import errno
import os

from haconiwa.isolation.step import PARENT, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec


class SetOomScoreAdj(Step):
    """Write it for the container's process from outside: in a user namespace it could not itself."""

    __slots__ = ("value",)

    def __init__(self, value: int, spec: ContainerSpec) -> None:
        super().__init__(PARENT, spec.sources.get("oom_score_adj"))
        self.value = value

    def describe(self) -> str:
        return f"set oom_score_adj to {self.value}"

    def execute(self, site: Site) -> None:
        fd = os.open(f"/proc/{site.child_pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(self.value).encode())
        finally:
            os.close(fd)

    def hint(self, number: int) -> str:
        if number in (errno.EACCES, errno.EPERM):
            return "a value below the caller's own takes CAP_SYS_RESOURCE, which the caller has not got here"
        return ""


def plan(spec: ContainerSpec) -> list[Step]:
    """The step on the supervisor's side."""
    return [SetOomScoreAdj(spec.oom_score_adj, spec)] if spec.oom_score_adj is not None else []
