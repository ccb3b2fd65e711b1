"""Filters of system calls: loading them into the calling process."""

from __future__ import annotations

from haconiwa.kernel.foreign import Structure, byref, c_char_p, c_uint32, c_void_p
from haconiwa.kernel.libc import fields, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelEnum, KernelFlag

INSTRUCTIONS_MAX = 4096  # BPF_MAXINSNS
INSTRUCTION_SIZE = 8  # struct sock_filter


class SECCOMP(KernelEnum):
    """Operations of seccomp(2)."""

    SET_MODE_FILTER = 1
    GET_ACTION_AVAIL = 2
    GET_NOTIF_SIZES = 3


class RET(KernelFlag):
    """What a filter answers; the lower 16 bits are data: an error number, or a message for the tracer."""

    KILL_PROCESS = 0x80000000
    KILL_THREAD = 0x00000000
    TRAP = 0x00030000
    ERRNO = 0x00050000
    USER_NOTIF = 0x7FC00000
    TRACE = 0x7FF00000
    LOG = 0x7FFC0000
    ALLOW = 0x7FFF0000

    @classmethod
    def kernel_name(cls, name: str) -> str:
        return f"SECCOMP_RET_{name}"


class FILTER_FLAG(KernelFlag):
    """Flags of `set_mode_filter`."""

    LOG = 2
    SPEC_ALLOW = 4
    NEW_LISTENER = 8
    WAIT_KILLABLE_RECV = 32

    @classmethod
    def kernel_name(cls, name: str) -> str:
        return f"SECCOMP_FILTER_FLAG_{name}"


class _Program(Structure):
    """struct sock_fprog, whose length has 16 bits and is followed by padding."""

    _fields_ = fields(c_uint32, "length") + fields(c_char_p, "instructions")  # which keeps alive what it points to


_seccomp = raw_syscall("seccomp", c_uint32, c_uint32, c_void_p)


def set_mode_filter(program: bytes, flags: int = 0) -> int:
    """Loads a filter, which holds for this process and all it will be, beside those loaded before.

    Args:
        program: Instructions as in struct sock_filter, one after the other.
        flags: `FILTER_FLAG`.

    Returns:
        With NEW_LISTENER a close-on-exec descriptor that tells of the calls the filter answers with USER_NOTIF; else 0.

    Raises:
        ValueError: The length is that of no program.
        SyscallError: EACCES (neither no_new_privs nor CAP_SYS_ADMIN), EINVAL (a wrong program, a flag or an action
            unknown to this kernel), EBUSY (there is a listener already), ENOMEM (all filters together are too large),
            ENOSYS (a kernel without filters).

    See: seccomp(2)
    """
    length, rest = divmod(len(program), INSTRUCTION_SIZE)
    if rest or not 0 < length <= INSTRUCTIONS_MAX:
        raise ValueError(f"a seccomp program of {len(program)} bytes")
    result = _seccomp(SECCOMP.SET_MODE_FILTER, flags, byref(_Program(length, program)))
    if result < 0:
        raise syscall_error("seccomp", SECCOMP.SET_MODE_FILTER, FILTER_FLAG(flags), {"len": length})
    return result
