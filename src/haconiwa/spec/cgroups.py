"""What a haco file asks of the container's control groups."""

from __future__ import annotations

from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where


class CgroupSetting(Record):
    """One setting of a control group.

    Attributes:
        key: The file's name as given, of v1 or v2.
        lines: What is written, one write a line; checked, sizes in bytes, ``max`` for no limit.
        version: The hierarchy whose file is meant literally; None means whichever the host has.
    """

    key: str
    lines: tuple[str, ...]
    version: int | None = None
    where: Where | None = None

    def named(self) -> str:
        """The setting as a haco file writes it."""
        return f'cgroup["{self.key}"]' if self.version is None else f'cgroup("v{self.version}")["{self.key}"]'


class CgroupSpec(Record):
    """The control groups of a container.

    Attributes:
        name: Of the groups; empty for the container's name.
        settings: In file order.
        assign_only: Put the container into a group of the v2 hierarchy though nothing is limited there.
    """

    name: str = ""
    settings: tuple[CgroupSetting, ...] = ()
    assign_only: bool = False
    where: Where | None = None
