"""What a test run may leave behind on the machine, and how it is found.

A run owns a few directories below the temporary one. Mounts and processes are its own when they have to do with one of
these; cgroups, network interfaces and runtime files are found by comparing the machine before and after.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import os
import re
import select
import signal
import time
from collections.abc import Iterable, Iterator

_MNT_DETACH = 2
_RUNTIME_FILES = ("/run/haconiwa*", "/run/haconiwa/*", "/run/netns/*", "/var/l*/haconiwa/*", "/var/cache/haconiwa/*")
_KEPT_MOUNTS = {"/run/netns"}  # made by the first ``ip netns add`` of a machine
_libc = ctypes.CDLL(None, use_errno=True)

Machine = dict[str, frozenset[str]]


class OwnDirs:
    """The directories that belong to this run.

    Args:
        paths: Absolute host paths.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(os.path.realpath(path) for path in paths)

    def holds(self, path: str) -> bool:
        """Whether a path is one of them or below one."""
        return any(path == own or path.startswith(own + "/") for own in self.paths)

    def named_in(self, text: str) -> bool:
        """Whether a text has the path of one of them in it."""
        return any(re.search(re.escape(own) + r"(?![\w.-])", text) for own in self.paths)


def machine() -> Machine:
    """What a run could leave behind, by kind."""
    return {
        "mount": frozenset(mount_points()) - _KEPT_MOUNTS,
        "cgroup": frozenset(_cgroups()),
        "interface": frozenset(os.listdir("/sys/class/net")),
        "file": frozenset(path for pattern in _RUNTIME_FILES for path in glob.glob(pattern)),
    }


def new_since(before: Machine) -> list[str]:
    """What is there now and was not before, one line each."""
    now = machine()
    return [f"{kind} {name}" for kind, names in now.items() for name in sorted(names - before[kind])]


def mount_points() -> list[str]:
    """The mount points of this mount namespace, in the order in which they were mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return [_unescape(line.split(" ")[4]) for line in lines]


def detach_mounts(own: OwnDirs) -> list[str]:
    """Unmount everything below the run's directories, so that removing them cannot reach what is mounted there.

    Returns:
        The mount points, one line each.
    """
    found = [point for point in mount_points() if own.holds(point)]
    for point in reversed(found):
        if _libc.umount2(os.fsencode(point), _MNT_DETACH) != 0:
            raise OSError(ctypes.get_errno(), "cannot detach", point)
    return [f"mount {point}" for point in found]


def end_processes(own: OwnDirs, deadline_s: float = 5.0) -> list[str]:
    """Wait for forked children and for the processes that have to do with the run's directories; kill those that stay.

    Returns:
        Those that stayed, one line each.
    """
    return end_all(_own_processes(own), deadline_s)


def end_all(processes: Iterable[tuple[int, str]], deadline_s: float = 5.0) -> list[str]:
    """Wait until processes have ended, and kill those that stay.

    Args:
        processes: Their pids and how to name them.
        deadline_s: How long to wait for all of them together, in seconds.

    Returns:
        Those that stayed, one line each.
    """
    deadline = time.monotonic() + deadline_s
    stayed = []
    for pid, command in processes:
        with _pidfd(pid) as fd:
            if fd < 0 or select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                continue
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            select.select([fd], [], [], deadline_s)
            stayed.append(f"process {pid}: {command}")
    return stayed


class RunLock:
    """Held by every run until its end: tells whether another one is at work on this machine.

    Args:
        directory: The folder whose lock is taken.

    Attributes:
        fd: The descriptor that holds the lock.
    """

    def __init__(self, directory: str) -> None:
        self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Give it up and tell whether no other run holds it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)  # closing would not do: a forked child may still have the descriptor
        return True


def _cgroups() -> Iterator[str]:
    for parent, _, _ in os.walk("/sys/fs/cgroup"):
        if "/haconiwa" in parent:
            yield parent


def _forked_children() -> frozenset[int]:
    """The processes that were forked from this one and have not become another program."""
    command = _read("/proc/self/cmdline")
    return frozenset(pid for pid in _pids() if _read(f"/proc/{pid}/cmdline") == command and _same_group(pid))


def _same_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return False


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())


def _own_processes(own: OwnDirs) -> Iterator[tuple[int, str]]:
    forked = _forked_children()
    for pid in _pids():
        if pid in forked or _is_own(pid, own):
            yield pid, _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def _is_own(pid: int, own: OwnDirs) -> bool:
    """By what it was started with, by its root, or, for a container that has pivoted, by what its mounts come from."""
    command = _read(f"/proc/{pid}/cmdline")
    if own.named_in(command) or own.named_in(_read(f"/proc/{pid}/environ")):
        return True
    try:
        if own.holds(os.readlink(f"/proc/{pid}/root")) or own.holds(os.readlink(f"/proc/{pid}/cwd")):
            return True
        elsewhere = os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
    return elsewhere and own.named_in(_read(f"/proc/{pid}/mountinfo"))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield -1
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _unescape(path: str) -> str:
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
