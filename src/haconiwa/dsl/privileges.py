"""The sections of limits and privileges: ``config.resource`` and ``config.capabilities``."""

from __future__ import annotations

from haconiwa.dsl.node import Recording, Section
from haconiwa.kernel.names import CAPABILITIES
from haconiwa.spec.model import DEFAULT_CAPABILITIES, RlimitSpec
from haconiwa.spec.names import LIMITS
from haconiwa.spec.values import Refused, boolean, capability, number, show, string, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from haconiwa.spec.names import CapabilityName, LimitName

_LIMIT_MAX = 2**63 - 1


class Resource(Section):
    """Resource limits of the container's program, see getrlimit(2)."""

    __slots__ = ()
    _section = "resource"

    def set_limit(
        self, name: LimitName, soft: int | Literal["unlimited"], hard: int | Literal["unlimited"] | None = None
    ) -> None:
        """Set one limit.

        Args:
            name: As in getrlimit(2), without ``RLIMIT_``.
            soft: The limit in force, in the unit of getrlimit(2), or ``unlimited``.
            hard: How far the program may raise it; the same as `soft` unless given.
        """
        with Recording(self, "set_limit") as where:
            key = string(name, "the name of a limit").upper().removeprefix("RLIMIT_")
            if key not in LIMITS:
                raise Refused(f"unknown limit {show(key)}", suggestion(key, LIMITS))
            low = _limit(soft)
            high = low if hard is None else _limit(hard)
            if high is not None and (low is None or low > high):
                raise Refused(f"the soft limit of {key} is above the hard one")
            self._values[key] = RlimitSpec(name=key, soft=low, hard=high, where=where)


def _limit(value: object) -> int | None:
    if issubclass(type(value), str) and string(value) == "unlimited":
        return None
    return number(value, 0, _LIMIT_MAX, 'a number or "unlimited"')


class Capabilities(Section):
    """Capabilities of the container, see capabilities(7). Case does not matter and ``cap_`` may be written."""

    __slots__ = ()
    _section = "capabilities"

    def allow(self, *names: CapabilityName | str, host_network: bool = False) -> None:
        """Add to the capabilities the container may have.

        Args:
            names: Their names; ``all`` for every one the kernel knows.
            host_network: Let ``net_admin`` rule the host's own network, in a container without the net namespace.
        """
        with Recording(self, "allow"):
            added = _parsed(names)
            self._values["host_network"] = self._values.get("host_network", False) or boolean(host_network)
            self._values["named"] = self._values.get("named", frozenset()) | added
            self._values["bounding"] = None if "all" in added else self._with(added)

    def drop(self, *names: CapabilityName | str) -> None:
        """Take capabilities away from those the container may have."""
        with Recording(self, "drop"):
            dropped = _parsed(names)
            bounding = self._values.get("bounding", frozenset(DEFAULT_CAPABILITIES))
            whole = frozenset(CAPABILITIES) if bounding is None else bounding
            named = self._values.get("named", frozenset())
            self._values["named"] = frozenset() if "all" in dropped else named - dropped
            self._values["bounding"] = frozenset() if "all" in dropped else whole - dropped

    def ambient(self, *names: CapabilityName | str) -> None:
        """Let a program that is not root keep capabilities; they must be allowed too."""
        with Recording(self, "ambient"):
            added = _parsed(names)
            if "all" in added:
                raise Refused('"all" cannot be ambient', "name the capabilities")
            self._values["ambient"] = self._values.get("ambient", frozenset()) | added

    def reset_to_privileged(self) -> None:
        """Allow everything, as for a program outside containers; there is no default seccomp profile either."""
        with Recording(self, "reset_to_privileged"):
            self._values["bounding"] = None
            self._values["privileged"] = True

    def _with(self, added: frozenset[str]) -> frozenset[str] | None:
        bounding: frozenset[str] | None = self._values.get("bounding", frozenset(DEFAULT_CAPABILITIES))
        return None if bounding is None else bounding | added


def _parsed(names: tuple[object, ...]) -> frozenset[str]:
    if not names:
        raise Refused("names no capability")
    return frozenset(capability(name) for name in names)
