"""Capabilities of the calling process, as numbers, names and 64-bit masks (bit n is capability number n)."""

from __future__ import annotations

from haconiwa.kernel.foreign import Structure, byref, c_int, c_uint32, c_void_p
from haconiwa.kernel.libc import fields, raw_syscall, syscall_error
from haconiwa.kernel.names import CAPABILITIES, KernelEnum
from haconiwa.kernel.prctl import PR, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERS = {name: number for number, name in enumerate(CAPABILITIES)}
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two 32-bit words for each set
_WORD = 0xFFFFFFFF


class PR_CAP_AMBIENT(KernelEnum):
    """What `PR.CAP_AMBIENT` does."""

    IS_SET = 1
    RAISE = 2
    CLEAR_ALL = 4


class _Header(Structure):
    """struct __user_cap_header_struct; pid 0 is the caller."""

    _fields_ = fields(c_uint32, "version") + fields(c_int, "pid")


class _Data(Structure):
    """struct __user_cap_data_struct: one word of the three sets."""

    _fields_ = fields(c_uint32, "effective", "permitted", "inheritable")


_capget = raw_syscall("capget", c_void_p, c_void_p)
_capset = raw_syscall("capset", c_void_p, c_void_p)


def last_cap() -> int:
    """The highest capability number of the running kernel.

    Raises:
        OSError: /proc is not mounted.
    """
    with open("/proc/sys/kernel/cap_last_cap", "rb", buffering=0) as file:
        return int(file.read(16))


def capget() -> tuple[int, int, int]:
    """The (effective, permitted, inheritable) sets of the calling process, as masks.

    See: capget(2)
    """
    low, high = words = (_Data * 2)()
    if _capget(byref(_Header(_VERSION_3, 0)), words) < 0:
        raise syscall_error("capget", {"version": hex(_VERSION_3), "pid": 0})
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Sets the three sets of the calling process, given as masks; bits unknown to the kernel are ignored.

    Raises:
        SyscallError: EPERM (a permitted one that the process has not, an effective one that is not permitted, an
            inheritable one outside the bounding set without CAP_SETPCAP).

    See: capset(2)
    """
    sets = effective, permitted, inheritable
    words = (_Data * 2)(_Data(*[mask & _WORD for mask in sets]), _Data(*[mask >> 32 for mask in sets]))
    if _capset(byref(_Header(_VERSION_3, 0)), words) < 0:
        masks = {"effective": hex(effective), "permitted": hex(permitted), "inheritable": hex(inheritable)}
        raise syscall_error("capset", {"version": hex(_VERSION_3), "pid": 0}, masks)


def capbset_read(number: int) -> bool:
    """Whether a capability is in the bounding set.

    Raises:
        SyscallError: EINVAL (unknown to the kernel).

    See: PR_CAPBSET_READ(2const)
    """
    return bool(prctl(PR.CAPBSET_READ, number))


def capbset_drop(number: int) -> None:
    """Takes a capability out of the bounding set, for good.

    Raises:
        SyscallError: EPERM (no CAP_SETPCAP), EINVAL (unknown to the kernel).

    See: PR_CAPBSET_DROP(2const)
    """
    prctl(PR.CAPBSET_DROP, number)


def ambient_is_set(number: int) -> bool:
    """Whether a capability is in the ambient set. Raises EINVAL as `capbset_read`.

    See: PR_CAP_AMBIENT(2const)
    """
    return bool(prctl(PR.CAP_AMBIENT, PR_CAP_AMBIENT.IS_SET, number))


def ambient_raise(number: int) -> None:
    """Puts a capability into the ambient set, which programs keep through exec without being root.

    Raises:
        SyscallError: EPERM (not both permitted and inheritable, or forbidden by securebits), EINVAL.

    See: PR_CAP_AMBIENT(2const)
    """
    prctl(PR.CAP_AMBIENT, PR_CAP_AMBIENT.RAISE, number)


def ambient_clear() -> None:
    """Empties the ambient set.

    See: PR_CAP_AMBIENT(2const)
    """
    prctl(PR.CAP_AMBIENT, PR_CAP_AMBIENT.CLEAR_ALL)


def full_mask() -> int:
    """All capabilities of the running kernel, as a mask."""
    return (1 << last_cap() + 1) - 1


def to_mask(names: Iterable[str]) -> int:
    """Names as in `CAPABILITIES` as a mask; a number in decimal stands for a capability without a name here.

    Raises:
        ValueError: Not such a name.
    """
    mask = 0
    for name in names:
        mask |= 1 << (_NUMBERS[name] if name in _NUMBERS else _unnamed(name))
    return mask


def to_names(mask: int) -> tuple[str, ...]:
    """The names of a mask in the order of their numbers; what has no name here is its number in decimal."""
    return tuple(
        CAPABILITIES[number] if number < len(CAPABILITIES) else str(number)
        for number in range(mask.bit_length())
        if mask >> number & 1
    )


def _unnamed(name: str) -> int:
    """The number of a capability younger than this program."""
    if name.isascii() and name.isdigit() and len(CAPABILITIES) <= int(name[:3]) < 64:
        return int(name)
    raise ValueError(f"unknown capability {name!r}")
