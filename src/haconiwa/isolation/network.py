"""A network namespace of the container's own starts with a loopback interface that is down."""

from __future__ import annotations

from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.kernel.network import set_interface_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec


class SetLoopbackUp(Step):
    """Give the container 127.0.0.1 and ::1."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "set the loopback interface up"

    def execute(self, site: Site) -> None:
        set_interface_up("lo")


def plan(spec: ContainerSpec) -> list[Step]:
    """The step for a network namespace of its own."""
    return [SetLoopbackUp()] if "net" in spec.namespaces else []
