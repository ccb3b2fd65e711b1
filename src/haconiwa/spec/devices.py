"""Device nodes that a container may use."""

from __future__ import annotations

from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from haconiwa.errors import Where


class DeviceSpec(Record):
    """A device node of the host's that the container gets besides the harmless ones.

    Attributes:
        path: Absolute path as seen inside.
        type: ``c`` for a character device, ``b`` for a block device.
        major, minor: Its numbers, see mknod(2).
        access: What the container may do with it: ``r`` read, ``w`` write, ``m`` make nodes of it.
    """

    path: str
    type: Literal["c", "b"]
    major: int
    minor: int
    access: str = "rwm"
    where: Where | None = None
