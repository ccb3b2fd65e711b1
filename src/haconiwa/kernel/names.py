"""Constants that print under the kernel's own names."""

from __future__ import annotations

import enum


class KernelFlag(enum.IntFlag):
    """Flags of a call: ``str(MS.BIND | MS.REC)`` is ``MS_BIND|MS_REC``; unknown bits are shown as a number."""

    @property
    def kernel_name(self) -> str:
        """The name of one member in the kernel's headers."""
        return f"{type(self).__name__}_{self.name}"

    def describe_rest(self, rest: int) -> str:
        """The bits that are no members of this class."""
        return hex(rest)

    def __str__(self) -> str:
        shown = []
        rest = int(self)
        # in the order of definition, so that a member of several bits goes before those of one
        for member in type(self).__members__.values():
            if member and rest & member == member:
                shown.append(member.kernel_name)
                rest &= ~int(member)
        if rest:
            shown.append(self.describe_rest(rest))
        return "|".join(shown) or "0"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class KernelEnum(enum.IntEnum):
    """Values of which a call takes one: ``str(PR.SET_DUMPABLE)`` is ``PR_SET_DUMPABLE``."""

    def __str__(self) -> str:
        return f"{type(self).__name__}_{self.name}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
