"""Landlock: a process gives up access to files and ports, for itself and all it starts."""

from __future__ import annotations

from haconiwa.kernel.foreign import Structure, byref, c_int, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from haconiwa.kernel.libc import fields, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelFlag

LANDLOCK_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_RULE_NET_PORT = 2


class LANDLOCK_ACCESS_FS(KernelFlag):
    """What can be done to files; in the order in which the kernel learnt it, see `landlock_access`."""

    EXECUTE = 0x0001
    WRITE_FILE = 0x0002
    READ_FILE = 0x0004
    READ_DIR = 0x0008
    REMOVE_DIR = 0x0010
    REMOVE_FILE = 0x0020
    MAKE_CHAR = 0x0040
    MAKE_DIR = 0x0080
    MAKE_REG = 0x0100
    MAKE_SOCK = 0x0200
    MAKE_FIFO = 0x0400
    MAKE_BLOCK = 0x0800
    MAKE_SYM = 0x1000
    REFER = 0x2000
    TRUNCATE = 0x4000
    IOCTL_DEV = 0x8000


class LANDLOCK_ACCESS_NET(KernelFlag):
    """What can be done to TCP ports, from version 4 on."""

    BIND_TCP = 1
    CONNECT_TCP = 2


_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_FS_BITS = 16
NET_VERSION = 4
"""The first version that knows ports; Linux 6.7."""


class _RulesetAttr(Structure):
    """struct landlock_ruleset_attr of version 4."""

    _fields_ = fields(c_uint64, "handled_access_fs", "handled_access_net")


class _PathBeneathAttr(Structure):
    """struct landlock_path_beneath_attr, which is packed."""

    _pack_ = 1
    _fields_ = fields(c_uint64, "allowed_access") + fields(c_int, "parent_fd")


class _NetPortAttr(Structure):
    """struct landlock_net_port_attr."""

    _fields_ = fields(c_uint64, "allowed_access", "port")


_create_ruleset = raw_syscall("landlock_create_ruleset", c_void_p, c_size_t, c_uint32)
_add_rule = raw_syscall("landlock_add_rule", c_int, c_int, c_void_p, c_uint32)
_restrict_self = raw_syscall("landlock_restrict_self", c_int, c_uint32)


def landlock_version() -> int:
    """The version of Landlock's interface in this kernel.

    Raises:
        SyscallError: ENOSYS (a kernel without it), EOPNOTSUPP (it was not enabled at boot).

    See: landlock_create_ruleset(2)
    """
    version = _create_ruleset(None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    if version < 0:
        raise syscall_error("landlock_create_ruleset", None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    return version


def landlock_access(version: int) -> LANDLOCK_ACCESS_FS:
    """Everything that a version can forbid to do to files."""
    return LANDLOCK_ACCESS_FS((1 << _FS_BITS.get(version, _ALL_FS_BITS)) - 1)


def landlock_create_ruleset(handled_access_fs: int, handled_access_net: int = 0) -> int:
    """A new set of rules, which forbids all that is handled and not allowed.

    Returns:
        A close-on-exec descriptor.

    Raises:
        SyscallError: EINVAL (an access unknown to this version), E2BIG (ports before version 4), ENOMSG (nothing
            handled), ENOSYS, EOPNOTSUPP.

    See: landlock_create_ruleset(2)
    """
    attributes = _RulesetAttr(handled_access_fs, handled_access_net)
    size = sizeof(attributes) if handled_access_net else 8
    fd = _create_ruleset(byref(attributes), size, 0)
    if fd < 0:
        shown = {"handled_access_fs": LANDLOCK_ACCESS_FS(handled_access_fs)}
        raise syscall_error("landlock_create_ruleset", shown, size, 0)
    return fd


def landlock_allow_path(ruleset_fd: int, access: int, parent_fd: int) -> None:
    """Allows access to a file or to all below a directory, by a descriptor (O_PATH is enough).

    Raises:
        SyscallError: EINVAL (an access that is not handled, or makes no sense for what is no directory), EBADF,
            EBADFD (a descriptor of a kind without files, such as a socket).

    See: landlock_add_rule(2)
    """
    rule = _PathBeneathAttr(access, parent_fd)
    if _add_rule(ruleset_fd, _RULE_PATH_BENEATH, byref(rule), 0) < 0:
        shown = {"allowed_access": LANDLOCK_ACCESS_FS(access), "parent_fd": parent_fd}
        raise syscall_error("landlock_add_rule", ruleset_fd, "PATH_BENEATH", shown, 0)


def landlock_allow_port(ruleset_fd: int, access: int, port: int) -> None:
    """Allows to bind or connect a TCP port.

    Raises:
        SyscallError: EINVAL (an access that is not handled, no such port), EAFNOSUPPORT (a kernel without TCP).

    See: landlock_add_rule(2)
    """
    rule = _NetPortAttr(access, port)
    if _add_rule(ruleset_fd, _RULE_NET_PORT, byref(rule), 0) < 0:
        shown = {"allowed_access": LANDLOCK_ACCESS_NET(access), "port": port}
        raise syscall_error("landlock_add_rule", ruleset_fd, "NET_PORT", shown, 0)


def landlock_restrict_self(ruleset_fd: int) -> None:
    """Puts this process under the rules, for good.

    Raises:
        SyscallError: EPERM (neither no_new_privs nor CAP_SYS_ADMIN), E2BIG (16 sets are in force already).

    See: landlock_restrict_self(2)
    """
    if _restrict_self(ruleset_fd, 0) < 0:
        raise syscall_error("landlock_restrict_self", ruleset_fd, 0)
