"""Making a process, and what it says about itself."""

from __future__ import annotations

from haconiwa.kernel import signals as signal
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.foreign import (
    Array,
    Structure,
    addressof,
    byref,
    c_char_p,
    c_int,
    c_size_t,
    c_uint64,
    c_void_p,
    function,
    sizeof,
)
from haconiwa.kernel.libc import encode, fields, raw_syscall, syscall_error
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.prctl import PR, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_CLONE_FLAGS = sum(CLONE)
_ALL_SIGNALS = signal.valid_signals()


class _CloneArgs(Structure):
    """struct clone_args of Linux 5.7; an older kernel accepts it as long as what it does not know is 0."""

    _fields_ = fields(
        c_uint64,
        *"flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup".split(),
    )


_execveat = raw_syscall("execveat", c_int, c_char_p, c_void_p, c_void_p, c_int)
_clone3 = raw_syscall("clone3", c_void_p, c_size_t)
_rt_sigaction = raw_syscall("rt_sigaction", c_int, c_char_p, c_void_p, c_size_t)
_DEFAULT_ACTION = bytes(32)  # struct kernel_sigaction: SIG_DFL, no flags, no mask
_SIGNAL_SET_SIZE = 8
_LIBRARY_SIGNALS = (32, 33)
_before_fork = function("PyOS_BeforeFork", None, ())
_after_fork_parent = function("PyOS_AfterFork_Parent", None, ())
_after_fork_child = function("PyOS_AfterFork_Child", None, ())


def clone3(flags: int, *, cgroup_fd: int = -1, exit_signal: int = signal.SIGCHLD) -> tuple[int, int]:
    """Forks into new namespaces; both processes return from it, as with fork(2).

    The interpreter's own fork handling takes place. Call it only while single-threaded, and leave the child by exec
    or ``os._exit``. Signals are blocked while parent and child are not yet told apart, and then as the caller had
    them: block them yourself if no handler may run before you have stored the result.

    Args:
        flags: `CLONE`; PIDFD and INTO_CGROUP are added by themselves. What would share memory is refused.
        cgroup_fd: Directory of a version 2 control group in which the child is born; -1 for the parent's.
        exit_signal: Sent to the parent when the child ends.

    Returns:
        The child's pid as the caller's pid namespace sees it and a close-on-exec pidfd in the parent;
        ``(0, -1)`` in the child.

    Raises:
        ValueError: A flag that `CLONE` does not have.
        SyscallError: EPERM (no CAP_SYS_ADMIN), EINVAL (impossible flags), EAGAIN (limit of processes), ENOSPC (too
            many nested or existing namespaces), EBADF or EOPNOTSUPP or EBUSY (the control group), ENOSYS.

    See: clone(2)
    """
    if flags & ~_CLONE_FLAGS:
        raise ValueError(f"clone3 with flags other than those of CLONE: {CLONE(flags)}")
    flags |= CLONE.PIDFD | (CLONE.INTO_CGROUP if cgroup_fd >= 0 else 0)
    pidfd = c_int(-1)
    arguments = _CloneArgs(flags=flags, pidfd=addressof(pidfd), exit_signal=exit_signal, cgroup=max(cgroup_fd, 0))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # an exception from a signal handler in between would leave the interpreter half forked
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        return _fork(arguments), pidfd.value
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _fork(arguments: _CloneArgs) -> int:
    """clone3(2) between the hooks that os.fork() calls."""
    pid = -1
    _before_fork()
    try:
        pid = _clone3(byref(arguments), sizeof(arguments))
        if pid < 0:
            raise _clone3_error(arguments)
        return pid
    finally:
        (_after_fork_parent if pid else _after_fork_child)()


def _clone3_error(arguments: _CloneArgs) -> SyscallError:
    shown = {"flags": CLONE(arguments.flags), "exit_signal": arguments.exit_signal, "cgroup": arguments.cgroup}
    return syscall_error("clone3", shown, sizeof(arguments))


def execveat(dirfd: int, name: str, argv: Sequence[str], environ: Mapping[str, str], flags: int = 0) -> NoReturn:
    """Replaces the program of this process.

    Args:
        dirfd: Where `name` is looked up; if it is close-on-exec, no script is executed (ENOENT).
        name: The file, relative.
        argv: What the program gets as its arguments, with its own name.
        environ: Its whole environment.
        flags: ``AT_SYMLINK_NOFOLLOW`` (0x100) refuses a link (ELOOP).

    Raises:
        ValueError: Something contains a NUL.
        SyscallError: As execve(2).

    See: execveat(2)
    """
    words = _strings([encode(word) for word in argv])
    variables = _strings([encode(key) + b"=" + encode(value) for key, value in environ.items()])
    _execveat(dirfd, encode(name), words, variables, flags)
    raise syscall_error("execveat", dirfd, name, argv, "...", flags)


def _strings(values: list[bytes]) -> Array[c_char_p]:
    return (c_char_p * (len(values) + 1))(*values)


def reset_library_signals() -> None:
    """Gives the two signals that the C library keeps to itself their default action.

    A program started by posix_spawn(3) has them ignored, which survives every exec, and ``signal`` cannot name them.

    See: rt_sigaction(2)
    """
    for number in _LIBRARY_SIGNALS:
        if _rt_sigaction(number, _DEFAULT_ACTION, None, _SIGNAL_SET_SIZE) < 0:
            raise syscall_error("rt_sigaction", number, {"sa_handler": "SIG_DFL"}, None, _SIGNAL_SET_SIZE)


def set_pdeathsig(number: int) -> None:
    """The signal that this process gets when the thread that made it ends; 0 for none.

    Cleared by a fork (in the child), by a change of credentials and by exec of a set-user-ID program. If the parent
    has ended already nothing comes: check that it still lives afterwards.

    Raises:
        SyscallError: EINVAL (no such signal).

    See: PR_SET_PDEATHSIG(2const)
    """
    prctl(PR.SET_PDEATHSIG, number)


def set_dumpable(dumpable: bool) -> None:
    """Whether others of the same ids may trace this process and read its /proc files; exec resets it.

    See: PR_SET_DUMPABLE(2const)
    """
    prctl(PR.SET_DUMPABLE, int(dumpable))


def set_no_new_privs() -> None:
    """From now on no exec gives this process or its children more privileges; cannot be undone.

    See: PR_SET_NO_NEW_PRIVS(2const)
    """
    prctl(PR.SET_NO_NEW_PRIVS, 1)


def set_keepcaps(keep: bool) -> None:
    """Whether the permitted capabilities stay when all user ids become non-zero; exec resets it.

    Raises:
        SyscallError: EPERM (locked by securebits).

    See: PR_SET_KEEPCAPS(2const)
    """
    prctl(PR.SET_KEEPCAPS, int(keep))


def set_child_subreaper(subreaper: bool) -> None:
    """Whether orphaned descendants become children of this process.

    See: PR_SET_CHILD_SUBREAPER(2const)
    """
    prctl(PR.SET_CHILD_SUBREAPER, int(subreaper))
