"""Events of a container's groups: memory pressure, memory used up, the limit of processes reached.

v1 tells of memory through an eventfd that is registered with the group; everything else is a file that poll(2) finds
changed (POLLPRI), and a counter in it. Of v1's limit of processes kernels since 6.11 count but tell nobody, so that it
takes looking again and again. All of these exist before the container's process does, so that nothing is missed.
See: the kernel's admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst and accounting/psi.rst.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ConfigError, Problem
from haconiwa.host.cgroups import describe_layout
from haconiwa.isolation.groups import write_group_file
from haconiwa.isolation.step import SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.supervision import CgroupHookSpec

PRESSURE_STALLS = {
    "low": "some 100000 1000000",
    "medium": "some 300000 1000000",
    "critical": "full 300000 1000000",
}
"""What v2 takes for the levels of v1: microseconds that some or all processes waited for memory within a second."""

_LARGEST = 4096
_LOOK_EVERY_S = 0.05


class Source:
    """What tells of one kind of event.

    Attributes:
        fd: To be waited on.
        by_priority: It shows as POLLPRI instead of POLLIN.
        look_every_s: How often to look whether it shows or not; None where that is needless.
    """

    by_priority = True
    look_every_s: float | None = None

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def take(self, *, told: bool) -> int:
        """How many events there were since the last call.

        Args:
            told: The descriptor was found ready.
        """
        raise NotImplementedError


class Counter(Source):
    """A line ``WORD NUMBER`` of a file."""

    def __init__(self, path: str, word: str) -> None:
        super().__init__(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self._word = word
        self._before = self._count()

    def _count(self) -> int:
        try:
            lines = os.pread(self.fd, _LARGEST, 0).decode().splitlines()
        except OSError:  # ENODEV: the group is gone
            return self._before
        return next((int(line.split()[1]) for line in lines if line.split()[0] == self._word), 0)

    def take(self, *, told: bool) -> int:
        now = self._count()
        count, self._before = now - self._before, now
        return count


class Stalls(Source):
    """A threshold of how long processes wait for memory."""

    def __init__(self, path: str, threshold: str) -> None:
        super().__init__(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            os.write(self.fd, f"{threshold}\0".encode())
        except OSError:
            os.close(self.fd)
            raise

    def take(self, *, told: bool) -> int:
        return int(told)


class Notifications(Source):
    """An eventfd that a v1 group adds to."""

    by_priority = False

    def __init__(self, group: str, name: str, level: str) -> None:
        super().__init__(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        try:
            watched_fd = os.open(f"{group}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                write_group_file(f"{group}/cgroup.event_control", f"{self.fd} {watched_fd} {level}".rstrip())
            finally:
                os.close(watched_fd)
        except OSError:
            os.close(self.fd)
            raise

    def take(self, *, told: bool) -> int:
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0


def watch_oom(group: str) -> Source:
    """What tells that the memory of a group is used up, from now on.

    Args:
        group: One with the memory controller.

    Raises:
        OSError: The kernel does not tell.
    """
    if os.path.exists(f"{group}/memory.oom_control"):
        return Notifications(group, "memory.oom_control", "")
    return Counter(f"{group}/memory.events", "oom_kill")


class WatchGroup(Step):
    """Begin to watch for the events of one hook."""

    __slots__ = ("group", "hook", "version")

    def __init__(self, hook: CgroupHookSpec, hierarchy: Hierarchy, name: str) -> None:
        super().__init__(SUPERVISOR, hook.where)
        self.hook = hook
        self.group = hierarchy.group(name)
        self.version = hierarchy.version

    def describe(self) -> str:
        level = f" of level {self.hook.level}" if self.hook.level else ""
        return f'watch "{self.group}" for {self.hook.type}{level}'

    def execute(self, site: Site) -> None:
        site.group_events.append(self._open())

    def _open(self) -> Source:
        if self.hook.type == "pids_max":
            counter = Counter(f"{self.group}/pids.events", "max")
            counter.look_every_s = _LOOK_EVERY_S if self.version == 1 else None
            return counter
        if self.hook.type == "oom":
            return watch_oom(self.group)
        if self.version == 1:
            return Notifications(self.group, "memory.pressure_level", self.hook.level)
        return Stalls(f"{self.group}/memory.pressure", PRESSURE_STALLS[self.hook.level])

    def undo(self, site: Site) -> None:
        while site.group_events:
            os.close(site.group_events.pop().fd)

    def hint(self, number: int) -> str:
        if self.hook.type == "memory_pressure" and number in (errno.ENOENT, errno.EOPNOTSUPP):
            return "the kernel must be built with PSI and started with psi=1"
        return "this kernel does not tell of it" if number == errno.ENOENT else ""

    @property
    def has_group(self) -> bool:
        """Whether the group is there already, with what this takes."""
        return os.path.exists(f"{self.group}/{_controller(self.hook)}.events" if self.version == 2 else self.group)


def plan(
    hooks: tuple[CgroupHookSpec, ...], name: str, found: tuple[Hierarchy, ...], needed: dict[Hierarchy, set[str]]
) -> list[Step]:
    """Steps that begin to watch; `needed` gets the groups that this takes.

    Raises:
        ConfigError: The host has no such controller.
    """
    steps: list[Step] = []
    problems = []
    for hook in hooks:
        controller = _controller(hook)
        home = next((hierarchy for hierarchy in found if controller in hierarchy.controllers), None)
        if home is None:
            what = f'add_cgroup_hook: this host has no controller "{controller}"'
            problems.append(Problem(what, hook.where, f"it has {describe_layout(found)}"))
            continue
        enabled = needed.setdefault(home, set())
        if home.version == 2:
            enabled.add(controller)
        steps.append(WatchGroup(hook, home, name))
    if problems:
        raise ConfigError(problems)
    return steps


def plan_again(hooks: tuple[CgroupHookSpec, ...], name: str, found: tuple[Hierarchy, ...]) -> list[WatchGroup]:
    """Steps that begin to watch the groups of a container that runs; none for hooks that would take another group.

    Raises:
        ConfigError: The host has no such controller.
    """
    steps = [step for step in plan(hooks, name, found, {}) if isinstance(step, WatchGroup)]
    return [step for step in steps if step.has_group]


def _controller(hook: CgroupHookSpec) -> str:
    return "pids" if hook.type == "pids_max" else "memory"
