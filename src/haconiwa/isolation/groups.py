"""The processes of a control group: found, killed, and the group removed. See: cgroups(7)."""

from __future__ import annotations

import os
import time

from haconiwa.kernel import signals as signal

ALMOST_UNLIMITED = 2**63 - 65536
"""v1 shows the largest multiple of a page for no limit; no page is larger than this allows for."""

_REMOVE_WITHIN_S = 2.0


def kill_groups(paths: tuple[str, ...]) -> None:
    """Kill every process in some cgroups and the groups below them.

    The kernel does it at once where ``cgroup.kill`` exists (v2 since Linux 5.14); else a frozen group is signalled, so
    that nothing in it can fork away meanwhile.
    """
    for path in paths:
        if not _write(f"{path}/cgroup.kill", "1"):
            _kill_frozen(path)


def _kill_frozen(path: str) -> None:
    frozen = _write(f"{path}/freezer.state", "FROZEN") or _write(f"{path}/cgroup.freeze", "1")
    try:
        for pid in member_pids(path):  # never 0, which would be our own process group
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    finally:
        if frozen:
            _ = _write(f"{path}/freezer.state", "THAWED") or _write(f"{path}/cgroup.freeze", "0")


def _write(path: str, text: str) -> bool:
    try:
        write_group_file(path, text)
    except OSError:
        return False
    return True


def write_group_file(path: str, text: str) -> None:
    """Write to a file of a group, with one write(2) as the kernel wants it.

    Raises:
        OSError: ENOENT (this kernel has no such file), EINVAL and ERANGE (the value), EBUSY, EPERM, EROFS.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def read_group_file(path: str) -> str:
    """The content of a file of a group.

    Raises:
        OSError: ENOENT (no such file, or the group is gone), ENODEV (it was removed meanwhile).
    """
    with open(path, encoding="utf-8") as file:
        return file.read()


def member_pids(path: str) -> list[int]:
    """The processes in a group and the groups below it, as this process sees them; empty when it is gone.

    Those that another pid namespace hides from it show as 0 and are left out.
    """
    return [pid for pid in _members(path) if pid]


def all_member_pids(paths: tuple[str, ...]) -> list[int]:
    """The processes in any of some groups and the groups below them, each once."""
    return sorted({pid for path in paths for pid in member_pids(path)})


def is_populated(path: str) -> bool:
    """Whether any process is in a group or the groups below it, also one that cannot be seen from here."""
    return bool(_members(path))


def _members(path: str) -> list[int]:
    pids: list[int] = []
    for folder in _with_those_below(path):
        try:
            pids += [int(line) for line in read_group_file(f"{folder}/cgroup.procs").split()]
        except OSError:
            continue  # removed meanwhile
    return pids


def _with_those_below(path: str) -> list[str]:
    """A group and all below it, parents first; os.walk would not get to the bottom of what a container may nest."""
    found = [path]
    for folder in found:
        try:
            with os.scandir(folder) as entries:
                found += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # removed meanwhile
    return found


def memory_group(paths: tuple[str, ...]) -> str:
    """Which of some groups has the memory controller; empty for none."""
    names = ("memory.events", "memory.oom_control")
    return next((path for path in paths for name in names if os.path.exists(f"{path}/{name}")), "")


def oom_kills(paths: tuple[str, ...]) -> int:
    """How many processes of some groups the kernel has killed because their memory was at its limit."""
    kills = 0
    for path in paths:
        for name in ("memory.events", "memory.oom_control"):
            try:
                with open(f"{path}/{name}", encoding="ascii") as file:
                    fields = dict(line.split(maxsplit=1) for line in file)
            except OSError:
                continue
            kills += int(fields.get("oom_kill", 0))
    return kills


def _remove_group(path: str) -> bool:
    """Remove a group and the empty ones below it.

    Returns:
        Whether it is gone. A group that still has processes (EBUSY) stays; nothing foreign is ever killed here.
    """
    try:
        os.rmdir(path)  # what a walk finds nothing of, as without a descriptor to spare, may still be there
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    for folder in reversed(_with_those_below(path)):
        try:
            os.rmdir(folder)
        except OSError:
            continue
    return not os.path.isdir(path)


def remove_groups(paths: tuple[str, ...], look_every_s: float = 0.05) -> tuple[str, ...]:
    """Remove groups, trying again for two seconds while the kernel still empties them.

    Args:
        paths: Absolute.
        look_every_s: The longest pause between two tries; the first are shorter.

    Returns:
        Those that are still there because something else put a process into them.
    """
    deadline = time.monotonic() + _REMOVE_WITHIN_S
    pause_s = 0.001
    while left := tuple(path for path in paths if not _remove_group(path)):
        if time.monotonic() >= deadline:
            return left
        time.sleep(pause_s)  # noqa: TID251 - no event tells when a v1 group may be removed
        pause_s = min(pause_s * 2, look_every_s)
    return ()
