"""The execution domain of the container's program. See: personality(2), setarch(8)."""

from __future__ import annotations

import errno

from haconiwa.errors import ContainerError
from haconiwa.isolation.step import INSIDE, Site, Step
from haconiwa.kernel.personality import PER, personality

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec

_DOMAINS = {"linux": PER.LINUX, "linux32": PER.LINUX32}


class SetPersonality(Step):
    """Set the execution domain, and read it back."""

    __slots__ = ("name",)

    def __init__(self, name: str, spec: ContainerSpec) -> None:
        super().__init__(INSIDE, spec.sources.get("personality"))
        self.name = name

    def describe(self) -> str:
        return f'set the personality "{self.name}"'

    def execute(self, site: Site) -> None:
        personality(_DOMAINS[self.name])
        if personality() != _DOMAINS[self.name]:
            raise ContainerError(f"cannot {self.describe()}", why="the kernel shows another one than was set")

    def hint(self, number: int) -> str:
        return "this machine runs no 32-bit programs" if number == errno.EINVAL else ""


def plan(spec: ContainerSpec) -> list[Step]:
    """The step inside."""
    return [SetPersonality(spec.personality, spec)] if spec.personality is not None else []
