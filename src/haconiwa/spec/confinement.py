"""Records of the rarer settings that confine a program: security labels, Landlock, sysctls, kept namespaces."""

from __future__ import annotations

from haconiwa.errors import Where
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from haconiwa.spec.model import NamespaceType

    LandlockAccess = Literal["read", "write", "execute", "bind", "connect"]


class LandlockRule(Record):
    """What Landlock lets the container's programs do, and nothing but what some rule lets them.

    Attributes:
        access: ``read``, ``write``, ``execute`` below a path, or ``bind``, ``connect`` for a TCP port.
        path: As seen inside; empty for a port.
        port: 0 for a path.
    """

    access: LandlockAccess
    path: str = ""
    port: int = 0
    where: Where | None = None


class TimeOffsets(Record):
    """How far the clocks of a time namespace are from the host's, in seconds, see time_namespaces(7)."""

    monotonic_s: int = 0
    boottime_s: int = 0
    where: Where | None = None


class PersistedNamespace(Record):
    """A new namespace that is kept beyond the container's end, by a bind mount of its file on a host path."""

    type: NamespaceType
    path: str
    where: Where | None = None


class SysctlSpec(Record):
    """One kernel parameter of the container's own network or ipc namespace, by its dotted name."""

    name: str
    value: str
    where: Where | None = None
