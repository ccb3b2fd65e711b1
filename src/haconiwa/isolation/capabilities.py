"""The five capability sets of the container's program.

The bounding set is cut first, while the process still may; the ids are changed; then permitted and effective are set,
inheritable and ambient only to what `ambient(…)` asks for. All five are read back.
See: capabilities(7).
"""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError
from haconiwa.isolation.step import INSIDE, Site, Step
from haconiwa.kernel.capabilities import (
    ambient_clear,
    ambient_is_set,
    ambient_raise,
    capbset_drop,
    capbset_read,
    capget,
    capset,
    full_mask,
    last_cap,
    to_mask,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import CapabilitiesSpec, ContainerSpec


def bounding_mask(capabilities: CapabilitiesSpec) -> int:
    """The bounding set as bits; names the running kernel does not have are passed over."""
    if capabilities.bounding is None:
        return full_mask()
    return to_mask(capabilities.bounding) & full_mask()


class DropBounding(Step):
    """Take capabilities out of the bounding set, so that no program inside can ever gain them."""

    __slots__ = ("drops",)

    def __init__(self, capabilities: CapabilitiesSpec) -> None:
        super().__init__(INSIDE, capabilities.where)
        kept = bounding_mask(capabilities)
        # Worked out beforehand: inside there is no /proc of the host's to ask for the last capability.
        self.drops = tuple(number for number in range(last_cap() + 1) if not kept >> number & 1)

    def describe(self) -> str:
        return f"drop {len(self.drops)} capabilities from the bounding set"

    def execute(self, site: Site) -> None:
        for number in self.drops:
            capbset_drop(number)


class SetCapabilities(Step):
    """Set permitted, effective, inheritable and ambient, and read them back.

    Args:
        capabilities: What the program gets.
        host_network: The container has no net namespace of its own.
        until_exec: Permitted besides to this process. The exec takes them away, because they are not in the bounding
            set.
    """

    __slots__ = ("ambient", "bounding", "count", "host_network", "named", "names", "until_exec")

    def __init__(self, capabilities: CapabilitiesSpec, host_network: bool = False, until_exec: int = 0) -> None:
        super().__init__(INSIDE, capabilities.where)
        self.named = capabilities.named
        self.host_network = host_network
        self.bounding = bounding_mask(capabilities)
        self.until_exec = until_exec
        self.ambient = to_mask(capabilities.ambient) & self.bounding
        self.count = last_cap() + 1
        self.names = "all" if capabilities.bounding is None else " ".join(sorted(capabilities.bounding)) or "none"

    def describe(self) -> str:
        return f"keep the capabilities: {self.names}"

    def warning(self) -> str:
        if unknown := self._named_outside(full_mask()):
            return f"this kernel does not have the capabilities {unknown}"
        if os.geteuid() == 0 and (lacking := self._named_outside(capget()[1])):
            return f"root has not got the capabilities {lacking} here, so the container does not get them"
        if self.host_network and "audit_read" in self.named:
            return "with audit_read and without the net namespace programs inside can read the host's audit log"
        if self.host_network and "all" in self.named:
            return "with all capabilities and without the net namespace programs inside rule the host's own network"
        return ""

    def _named_outside(self, mask: int) -> str:
        return " ".join(name for name in sorted(self.named - {"all"}) if not to_mask((name,)) & mask)

    def execute(self, site: Site) -> None:
        _effective, permitted, _inheritable = capget()
        keep = (self.bounding | self.until_exec) & permitted
        wanted = (keep, keep, self.ambient & permitted)
        ambient_clear()
        capset(*wanted)
        for number in range(self.ambient.bit_length()):
            if self.ambient >> number & 1:
                ambient_raise(number)
        if capget() != wanted or self._bounding_left() or not self._has_ambient():
            raise ContainerError(f"cannot {self.describe()}", why="the kernel shows other capabilities than were set")

    def _bounding_left(self) -> bool:
        """Whether the bounding set has what it must not have."""
        return any(capbset_read(number) for number in range(self.count) if not self.bounding >> number & 1)

    def _has_ambient(self) -> bool:
        return all(ambient_is_set(number) == bool(self.ambient >> number & 1) for number in range(self.count))


def plan_bounding(spec: ContainerSpec) -> list[Step]:
    """The step before the ids are changed."""
    return [DropBounding(spec.capabilities)]


def plan(spec: ContainerSpec) -> list[Step]:
    """The step after the ids were changed. To load seccomp filters takes a capability, or no_new_privs."""
    own_network = "net" in spec.namespaces or any(joined.type == "net" for joined in spec.joined_namespaces)
    to_load = to_mask(("sys_admin",)) if spec.seccomp.filters_calls and not spec.no_new_privs else 0
    return [SetCapabilities(spec.capabilities, not own_network, to_load)]


def plan_without_exec(spec: ContainerSpec) -> list[Step]:
    """The step before a program that is a function of this process, which no exec takes anything from."""
    return [SetCapabilities(spec.capabilities)]
