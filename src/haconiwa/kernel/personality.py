"""Execution domains."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_ulong
from haconiwa.kernel.libc import libc_function, syscall_error
from haconiwa.kernel.names import KernelEnum

PERSONALITY_QUERY = 0xFFFFFFFF
"""Asks personality(2) without changing anything."""


class PER(KernelEnum):
    """The domains that this program knows."""

    LINUX = 0x0000
    LINUX32 = 0x0008


_personality = libc_function("personality", c_ulong)


def personality(persona: int = PERSONALITY_QUERY) -> int:
    """Sets the execution domain of this process, which survives fork and exec, and returns the one before.

    Args:
        persona: `PER`; `PERSONALITY_QUERY` changes nothing.

    Raises:
        SyscallError: EINVAL (this machine does not have it).

    See: personality(2)
    """
    before = _personality(persona)
    if before < 0:
        raise syscall_error("personality", PER(persona))
    return before
