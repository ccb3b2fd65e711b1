"""The built-in profile: what programs in containers need is allowed, everything else is not.

What it allows and blocks is what Docker's default profile does, with one addition: no terminal can be typed into
(TIOCSTI, TIOCLINUX). A known call that is not allowed fails with EPERM; a number that nobody knew when this was
written fails with ENOSYS, so that programs fall back to what they did before. docs/seccomp.md tells what is blocked
and why.
"""

from __future__ import annotations

from haconiwa.isolation.seccomp.policy import ENOSYS, EPERM, Policy, PolicyRule, errno_action
from haconiwa.kernel.seccomp import RET
from haconiwa.kernel.syscall_tables import MACHINES
from haconiwa.spec.seccomp import Condition

_FILES = """
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
    fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents
    getdents64 lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at
    newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx
    symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat
    utimensat_time64 utimes vmsplice write writev
    fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
    lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
    fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
    listmount statmount
"""

_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list io_cancel io_destroy
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect pause pipe pipe2 poll ppoll
    ppoll_time64 pselect6 pselect6_time64 select set_robust_list
"""

_MEMORY = """
    brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
    mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
    remap_file_pages
"""

_PROCESSES = """
    execve execveat exit exit_group fork get_thread_area getcpu getpgid getpgrp getpid getppid getpriority getrandom
    getrlimit getrusage getsid gettid ioprio_get ioprio_set pidfd_open prctl prlimit64 process_vm_readv
    process_vm_writev ptrace restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_thread_area set_tid_address
    setpgid setpriority setrlimit setsid sysinfo times ugetrlimit uname uretprobe vfork wait4 waitid waitpid
    arch_prctl modify_ldt
    arm_fadvise64_64 breakpoint cacheflush set_tls sync_file_range2
"""
"""Those of one machine only, in the last two lines, exist nowhere else."""

_SIGNALS = """
    alarm kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn tgkill
    tkill
"""

_TIME = """
    adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64
"""
"""To change the clock takes a capability as well."""

_IDS = """
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
    getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
    landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
"""

_SOCKETS = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
"""

_IPC = """
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
"""

_ALWAYS = (_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS, _TIME, _IDS, _SOCKETS, _IPC)

_WITH_CAPABILITY = {
    "bpf": "bpf",
    "dac_read_search": "open_by_handle_at",
    "perfmon": "perf_event_open",
    "sys_admin": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare
    """,
    "sys_boot": "reboot",
    "sys_chroot": "chroot",
    "sys_module": "delete_module finit_module init_module",
    "sys_nice": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "sys_pacct": "acct",
    "sys_ptrace": "kcmp pidfd_getfd process_madvise",
    "sys_rawio": "ioperm iopl",
    "sys_time": "clock_settime clock_settime64 settimeofday stime",
    "sys_tty_config": "vhangup",
    "syslog": "syslog",
}
"""Calls that the kernel grants to a capability, and that are of no use without it."""

_INT = 0xFFFFFFFF
"""The kernel looks at the lower half only of an argument that is an int; to compare more would be a way around."""

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS CGROUP UTS IPC USER PID NET
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI TIOCLINUX
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # PER_LINUX, PER_LINUX32, with UNAME26, and the question
_BLOCKED_FAMILIES = {
    38: "AF_ALG: the kernel's cryptography, a wide and little used way in",
    40: "AF_VSOCK: virtual machines, which no network namespace keeps apart",
    **dict.fromkeys((12, 19, 20, 23, 25, 34, 37), "gone from current kernels"),
}
_FIRST_UNKNOWN_FAMILY = 46


def _is(index: int, value: int) -> tuple[Condition, ...]:
    return (Condition(index=index, operator="==", value=value, mask=_INT),)


def default_policy(machine: str, capabilities: frozenset[str]) -> Policy:
    """The built-in profile.

    Args:
        machine: As in `MACHINES`.
        capabilities: Those that the container may have.
    """
    allowed = " ".join([*_ALWAYS, *(_WITH_CAPABILITY.get(name, "") for name in sorted(capabilities))])
    blocked = errno_action(EPERM)
    rules = [PolicyRule(names=tuple(allowed.split()), action=RET.ALLOW)]
    rules += [PolicyRule(names=("ioctl",), action=blocked, when=_is(1, request)) for request in _TERMINAL_INPUT]
    rules += [PolicyRule(names=("ioctl",), action=RET.ALLOW)]
    rules += [PolicyRule(names=("socket",), action=blocked, when=_is(0, family)) for family in _BLOCKED_FAMILIES]
    known = Condition(index=0, operator="<", value=_FIRST_UNKNOWN_FAMILY, mask=_INT)
    rules += [PolicyRule(names=("socket",), action=RET.ALLOW, when=(known,))]
    rules += [PolicyRule(names=("personality",), action=RET.ALLOW, when=_is(0, kind)) for kind in _PERSONALITIES]
    no_namespace = Condition(index=0, operator="==", value=0, mask=_NEW_NAMESPACES)
    rules += [PolicyRule(names=("clone",), action=RET.ALLOW, when=(no_namespace,))]
    # Its flags are in memory, where a filter cannot look; a library that is told of no clone3 uses clone.
    rules += [PolicyRule(names=("clone3",), action=errno_action(ENOSYS))]
    return Policy(abis=MACHINES[machine], rules=tuple(rules), default=blocked, unknown=errno_action(ENOSYS))
