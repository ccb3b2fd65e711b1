"""Host and domain name. See: uts_namespaces(7)."""

from __future__ import annotations

from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.kernel.uts import setdomainname, sethostname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where
    from haconiwa.spec.model import ContainerSpec


class SetHostname(Step):
    """Set the name that ``uname -n`` shows."""

    __slots__ = ("name",)

    def __init__(self, name: str, where: Where | None) -> None:
        super().__init__(CHILD, where)
        self.name = name

    def describe(self) -> str:
        return f'set the host name "{self.name}"'

    def execute(self, site: Site) -> None:
        sethostname(self.name)


class SetDomainname(Step):
    """Set the NIS domain name."""

    __slots__ = ("name",)

    def __init__(self, name: str, where: Where | None) -> None:
        super().__init__(CHILD, where)
        self.name = name

    def describe(self) -> str:
        return f'set the domain name "{self.name}"'

    def execute(self, site: Site) -> None:
        setdomainname(self.name)


def plan(spec: ContainerSpec) -> list[Step]:
    """Steps for the names that the spec has."""
    steps: list[Step] = []
    if spec.hostname is not None:
        steps.append(SetHostname(spec.hostname, spec.sources.get("hostname")))
    if spec.domainname is not None:
        steps.append(SetDomainname(spec.domainname, spec.sources.get("domainname")))
    return steps
