"""A time namespace whose clocks differ from the host's.

The offsets must be written before the first process is in the namespace, so it cannot come with the clone: the
supervisor makes it for its children, writes, clones, and goes back to its own for the children after.
See: time_namespaces(7).
"""

from __future__ import annotations

import errno
import os

from haconiwa.isolation.step import PARENT, SUPERVISOR, Site, Step
from haconiwa.kernel.namespaces import CLONE, setns, unshare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.confinement import TimeOffsets


class SetTimeOffsets(Step):
    """Make the time namespace and set its clocks."""

    __slots__ = ("_made", "offsets")

    def __init__(self, offsets: TimeOffsets) -> None:
        super().__init__(SUPERVISOR, offsets.where)
        self.offsets = offsets
        self._made = False

    def describe(self) -> str:
        shown = f"monotonic by {self.offsets.monotonic_s} s and boottime by {self.offsets.boottime_s} s"
        return f"shift the clocks of a new time namespace: {shown}"

    def execute(self, site: Site) -> None:
        unshare(CLONE.NEWTIME)
        self._made = True
        text = f"monotonic {self.offsets.monotonic_s} 0\nboottime {self.offsets.boottime_s} 0\n"
        fd = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def undo(self, site: Site) -> None:
        if self._made:  # else this kernel may have none
            self._made = False
            keep_own_clocks()

    def hint(self, number: int) -> str:
        if number == errno.ERANGE:
            return "the clocks would be before their beginning or beyond their end"
        return "this kernel has no time namespaces: it takes Linux 5.6" if number == errno.EINVAL else ""


class LeaveTimeNamespace(Step):
    """Let the supervisor's further children have its own clocks."""

    def __init__(self) -> None:
        super().__init__(PARENT)

    def describe(self) -> str:
        return "return to the supervisor's own time namespace"

    def execute(self, site: Site) -> None:
        keep_own_clocks()


def keep_own_clocks() -> None:
    """Take the time namespace that this process is in for its children too. Idempotent."""
    fd = os.open("/proc/self/ns/time", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, CLONE.NEWTIME)
    finally:
        os.close(fd)


def plan(offsets: TimeOffsets) -> list[Step]:
    """The steps on both sides of the clone."""
    return [SetTimeOffsets(offsets), LeaveTimeNamespace()]
