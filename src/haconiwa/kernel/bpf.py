"""Programs that the kernel runs for a control group."""

from __future__ import annotations

from haconiwa.kernel.foreign import Structure, byref, c_char_p, c_int, c_uint32, c_uint64, c_void_p, sizeof
from haconiwa.kernel.libc import fields, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelEnum, KernelFlag


class BPF(KernelEnum):
    """Commands of bpf(2)."""

    PROG_LOAD = 5
    PROG_ATTACH = 8


class BPF_PROG_TYPE(KernelEnum):
    """Where a program can be attached."""

    CGROUP_DEVICE = 15


class BPF_CGROUP(KernelEnum):
    """What a program of a group is asked about."""

    DEVICE = 6


class BPF_F(KernelFlag):
    """How programs of groups above and below go together."""

    ALLOW_OVERRIDE = 1
    ALLOW_MULTI = 2


class _ProgLoad(Structure):
    """The part of union bpf_attr that PROG_LOAD needs; the kernel takes the rest as 0."""

    _fields_ = (
        fields(c_uint32, "prog_type", "insn_cnt")
        + fields(c_char_p, "insns", "license")  # which keep alive what they point to
        + fields(c_uint32, "log_level", "log_size")
        + fields(c_uint64, "log_buf")
        + fields(c_uint32, "kern_version", "prog_flags")
    )


class _ProgAttach(Structure):
    """The part of union bpf_attr that PROG_ATTACH needs."""

    _fields_ = fields(c_uint32, "target_fd", "attach_bpf_fd", "attach_type", "attach_flags")


INSTRUCTION_SIZE = 8

_bpf = raw_syscall("bpf", c_int, c_void_p, c_uint32)


def bpf_prog_load(prog_type: int, insns: bytes, license: str) -> int:
    """Has the kernel check and keep a program.

    Args:
        prog_type: `BPF_PROG_TYPE`.
        insns: Instructions of eight bytes, see bpf-helpers(7) and the kernel's instruction-set.rst.
        license: Whose helpers it may call.

    Returns:
        A close-on-exec descriptor; the program lives while it is open or attached.

    Raises:
        SyscallError: EINVAL (a type this kernel does not have), EACCES (the program is refused), EPERM (no CAP_BPF or
            CAP_SYS_ADMIN in the first user namespace, or before Linux 5.11 RLIMIT_MEMLOCK), E2BIG, ENOSYS.

    See: bpf(2)
    """
    count = len(insns) // INSTRUCTION_SIZE
    attributes = _ProgLoad(prog_type=prog_type, insn_cnt=count, insns=insns, license=license.encode())
    fd = _bpf(BPF.PROG_LOAD, byref(attributes), sizeof(attributes))
    if fd < 0:
        shown = {"prog_type": BPF_PROG_TYPE(prog_type), "insn_cnt": count, "license": license}
        raise syscall_error("bpf", BPF.PROG_LOAD, shown, sizeof(attributes))
    return fd


def bpf_prog_attach(target_fd: int, attach_bpf_fd: int, attach_type: int, attach_flags: int = 0) -> None:
    """Attaches a program to a control group, where it stays until the group is removed.

    Args:
        target_fd: The group's directory in the version 2 hierarchy.
        attach_bpf_fd: From `bpf_prog_load`.
        attach_type: `BPF_CGROUP`.
        attach_flags: `BPF_F`.

    Raises:
        SyscallError: EPERM (a group above does not allow it, or no CAP_NET_ADMIN in the first user namespace), EINVAL
            (a program of another type), EBADF (no group), E2BIG (too many programs).

    See: bpf(2)
    """
    attributes = _ProgAttach(
        target_fd=target_fd, attach_bpf_fd=attach_bpf_fd, attach_type=attach_type, attach_flags=attach_flags
    )
    if _bpf(BPF.PROG_ATTACH, byref(attributes), sizeof(attributes)) < 0:
        shown = {"target_fd": target_fd, "attach_type": BPF_CGROUP(attach_type), "flags": BPF_F(attach_flags)}
        raise syscall_error("bpf", BPF.PROG_ATTACH, shown, sizeof(attributes))
