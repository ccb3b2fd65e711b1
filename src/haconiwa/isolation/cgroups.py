"""The container's control groups, in which everything it starts can be found and killed.

On a host with a v2 hierarchy (also a hybrid one) the process is born in its group (CLONE_INTO_CGROUP). On a v1 host it
joins by writing ``0`` to ``tasks`` itself: a single-threaded process that moves itself does not wait for the
kernel's grace period, which a write to ``cgroup.procs`` does (8 to 29 ms).
See: cgroups(7).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError
from haconiwa.host.cgroups import Hierarchy
from haconiwa.isolation.groups import member_pids, remove_groups
from haconiwa.isolation.step import CHILD, SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec

PARENT_GROUP = "haconiwa"
_TRACKING_CONTROLLERS = ("freezer", "pids", "memory", "cpu", "devices")


def group_paths(name: str, hierarchies: tuple[Hierarchy, ...]) -> tuple[tuple[int, str], ...]:
    """The container's groups as (version, absolute path).

    Returns:
        One group in the v2 hierarchy where there is one; else one in the first v1 hierarchy of a usual controller,
        freezer before all, because a frozen group can be killed without a race.
    """
    for hierarchy in hierarchies:
        if hierarchy.version == 2:
            return ((2, f"{hierarchy.mount_point}/{PARENT_GROUP}/{name}"),)
    for controller in _TRACKING_CONTROLLERS:
        for hierarchy in hierarchies:
            if controller in hierarchy.controllers:
                return ((1, f"{hierarchy.mount_point}/{PARENT_GROUP}/{name}"),)
    return ()


class CreateCgroup(Step):
    """Make one group; an empty one that an earlier run left is taken over."""

    __slots__ = ("path", "version")

    def __init__(self, version: int, path: str) -> None:
        super().__init__(SUPERVISOR)
        self.version = version
        self.path = path

    def describe(self) -> str:
        return f'create the cgroup "{self.path}"'

    def execute(self, site: Site) -> None:
        if not _make_directory(self.path) and member_pids(self.path):
            raise ContainerError(
                f"cannot {self.describe()}",
                why="it exists and has processes in it",
                hint=f"see {self.path}/cgroup.procs",
            )
        site.cgroup_paths += (self.path,)
        if self.version == 2:
            site.cgroup_fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            site.tasks_fds.append(os.open(f"{self.path}/tasks", os.O_WRONLY | os.O_CLOEXEC))

    def undo(self, site: Site) -> None:
        if self.path in site.cgroup_paths:
            remove_groups((self.path,), site.spec.wait_interval / 1000)
            try:
                os.rmdir(os.path.dirname(self.path))
            except OSError:
                pass  # other containers are in it

    def hint(self, number: int) -> str:
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            return "cgroups must be mounted writable: run as root, outside a container or with a delegated subtree"
        return ""


class JoinCgroup(Step):
    """Move this process into its v1 groups."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "join the cgroup"

    def execute(self, site: Site) -> None:
        for fd in site.tasks_fds:
            os.write(fd, b"0")


def plan(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    """Steps that make the groups and join those in which the process is not born."""
    groups = group_paths(spec.name, hierarchies)
    steps: list[Step] = [CreateCgroup(version, path) for version, path in groups]
    if any(version == 1 for version, _ in groups):
        steps.append(JoinCgroup())
    return steps


def planned_paths(steps: list[Step]) -> tuple[str, ...]:
    """The groups that a list of steps makes."""
    return tuple(step.path for step in steps if isinstance(step, CreateCgroup))


def _make_directory(path: str) -> bool:
    """Make a directory and the one above; False when it was there."""
    while True:
        try:
            os.mkdir(path, 0o755)
            return True
        except FileExistsError:
            return False
        except FileNotFoundError:  # also when the last container of another supervisor takes the parent along
            try:
                os.mkdir(os.path.dirname(path), 0o755)
            except FileExistsError:
                continue
