"""Constants that print under the kernel's own names.

They behave as the flags and values of ``enum`` do as far as this package needs it. Importing ``enum`` and making its
classes would take a fifth of the time of a whole start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
"""Capabilities in the order of their numbers, lower case without ``cap_``. See: capabilities(7)"""


class _Named(type):
    """Makes every integer of a class body an instance of the class."""

    members: dict[str, int]

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _Named:
        cls: Any = super().__new__(mcs, name, bases, body)
        # the interpreter has integers of its own in there (__firstlineno__)
        cls.members = {key: cls(value) for key, value in body.items() if type(value) is int and key[:2] != "__"}
        for key, member in cls.members.items():
            setattr(cls, key, member)
        named: _Named = cls
        return named

    def __iter__(cls) -> Iterator[int]:
        return iter(cls.members.values())

    def __getitem__(cls, name: str) -> int:
        return cls.members[name]


class KernelFlag(int, metaclass=_Named):
    """Flags of a call: ``str(MS.BIND | MS.REC)`` is ``MS_BIND|MS_REC``; unknown bits are shown as a number."""

    __slots__ = ()

    @classmethod
    def kernel_name(cls, name: str) -> str:
        """The name of one member in the kernel's headers."""
        return f"{cls.__name__}_{name}"

    @classmethod
    def describe_rest(cls, rest: int) -> str:
        """The bits that are no members of this class."""
        return hex(rest)

    def __or__(self, other: int) -> KernelFlag:
        return type(self)(int(self) | int(other))

    __ror__ = __or__

    def __and__(self, other: int) -> KernelFlag:
        return type(self)(int(self) & int(other))

    def __str__(self) -> str:
        shown = []
        rest = int(self)
        # in the order of definition, so that a member of several bits goes before those of one
        for name, member in type(self).members.items():
            if member and rest & int(member) == int(member):
                shown.append(self.kernel_name(name))
                rest &= ~int(member)
        if rest:
            shown.append(self.describe_rest(rest))
        return "|".join(shown) or "0"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class KernelEnum(int, metaclass=_Named):
    """Values of which a call takes one: ``str(PR.SET_DUMPABLE)`` is ``PR_SET_DUMPABLE``."""

    __slots__ = ()

    def __str__(self) -> str:
        name = next((name for name, member in type(self).members.items() if int(member) == int(self)), None)
        return f"{type(self).__name__}_{name}" if name else str(int(self))

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
