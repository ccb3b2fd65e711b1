"""The container's control groups, in which everything it starts can be found, limited and killed.

On a host with a v2 hierarchy (also a hybrid one) the process is born in its group (CLONE_INTO_CGROUP). v1 groups are
joined by writing ``0`` to ``tasks`` itself: a single-threaded process that moves itself does not wait for the
kernel's grace period, which a write to ``cgroup.procs`` does (8 to 29 ms).

Only those groups are made that something needs: one to find the processes by, one for the device rules where v1 has
them, and one for each further controller with a limit.
See: cgroups(7).
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ConfigError, ContainerError, Problem
from haconiwa.isolation import device_rules
from haconiwa.isolation.groups import is_populated, remove_groups
from haconiwa.isolation.step import CHILD, SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.model import ContainerSpec

_TRACKING_CONTROLLERS = ("freezer", "pids", "memory", "cpu", "devices")


def tracking_hierarchy(hierarchies: tuple[Hierarchy, ...]) -> Hierarchy | None:
    """The hierarchy whose group says which processes are the container's.

    Returns:
        v2 where there is one; else the first v1 hierarchy of a usual controller, freezer before all, because a frozen
        group can be killed without a race.
    """
    for hierarchy in hierarchies:
        if hierarchy.version == 2:
            return hierarchy
    for controller in _TRACKING_CONTROLLERS:
        for hierarchy in hierarchies:
            if controller in hierarchy.controllers:
                return hierarchy
    return None


class Group(Step):
    """One group of the container's, which goes with it.

    Args:
        path: Absolute.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        super().__init__(SUPERVISOR)
        self.path = path

    def undo(self, site: Site) -> None:
        if self.path in site.cgroup_paths:
            remove_groups((self.path,), site.spec.wait_interval / 1000)
            try:
                os.rmdir(os.path.dirname(self.path))
            except OSError:
                pass  # other containers are in it


class TakeGroup(Group):
    """Take over a group that an earlier supervisor has made."""

    __slots__ = ()

    def describe(self) -> str:
        return f'take over the cgroup "{self.path}"'

    def execute(self, site: Site) -> None:
        site.cgroup_paths += (self.path,)


class CreateCgroup(Group):
    """Make one group; an empty one that an earlier run left is made anew, without what it limited.

    Args:
        hierarchy: Where.
        name: Of the group.
        controllers: Those of v2 that it needs.
    """

    __slots__ = ("controllers", "hierarchy")

    def __init__(self, hierarchy: Hierarchy, name: str, controllers: tuple[str, ...] = ()) -> None:
        super().__init__(hierarchy.group(name))
        self.hierarchy = hierarchy
        self.controllers = controllers

    def describe(self) -> str:
        words = f" with the controllers {' '.join(self.controllers)}" if self.controllers else ""
        return f'create the cgroup "{self.path}"{words}'

    def execute(self, site: Site) -> None:
        _make_directory(self.path)
        site.cgroup_paths += (self.path,)
        if self.controllers:
            from haconiwa.isolation.cgroup_tree import enable_controllers

            enable_controllers(self.path, self.controllers)
        if "cpuset" in self.hierarchy.controllers and self.hierarchy.version == 1:
            from haconiwa.isolation.cgroup_tree import inherit_cpuset

            inherit_cpuset(self.path)
        if self.hierarchy.version == 2:
            site.cgroup_fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            site.tasks_fds.append(os.open(f"{self.path}/tasks", os.O_WRONLY | os.O_CLOEXEC))

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


_NOT_YOURS = "no cgroup here is yours"
_HOW_TO = "with systemd one comes by: systemd-run --user --scope -p Delegate=yes haconiwa start …"


class TellWithoutGroup(Step):
    """Say that no group can be made: what is inside is then found by its pid namespace."""

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "go on without a cgroup"

    def warning(self) -> str:
        return f"{_NOT_YOURS}, so the container has none; {_HOW_TO}"

    def execute(self, site: Site) -> None:
        pass


def group_name(spec: ContainerSpec) -> str:
    """The name of a container's groups."""
    return (spec.cgroup.name if spec.cgroup else "") or spec.name


def plan(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    """Steps that make the groups, set what is limited in them, and join those in which the process is not born.

    Raises:
        ConfigError: The host cannot limit what the haco file asks for.
    """
    if spec.unprivileged and not hierarchies:
        return _without_group(spec)
    tracking = tracking_hierarchy(hierarchies)
    needed: dict[Hierarchy, set[str]] = {tracking: set()} if tracking else {}
    if any(mount.kind == "cgroup" for mount in spec.mounts):
        # A hierarchy without a group of its own would show the host's.
        needed.update({hierarchy: set() for hierarchy in hierarchies if hierarchy not in needed})
    inside = device_rules.plan(spec, group_name(spec), hierarchies, needed)
    if spec.cgroup is not None:
        from haconiwa.isolation import cgroup_limits

        inside += cgroup_limits.plan(spec.cgroup, group_name(spec), hierarchies, needed)
    if spec.cgroup_hooks:
        from haconiwa.isolation import cgroup_events

        inside += cgroup_events.plan(spec.cgroup_hooks, group_name(spec), hierarchies, needed)
    steps: list[Step] = [
        CreateCgroup(hierarchy, group_name(spec), tuple(sorted(controllers)))
        for hierarchy, controllers in needed.items()
    ]
    steps += inside
    if any(hierarchy.version == 1 for hierarchy in needed):
        steps.append(JoinCgroup())
    return steps


def _without_group(spec: ContainerSpec) -> list[Step]:
    """The start of an ordinary user who has no group.

    Raises:
        ConfigError: With everything that only a group can do.
    """
    asked = [(setting.named(), setting.where) for setting in (spec.cgroup.settings if spec.cgroup else ())]
    asked += [("add_cgroup_hook", hook.where) for hook in spec.cgroup_hooks]
    asked += [('mount_independent("cgroup")', mount.where) for mount in spec.mounts if mount.kind == "cgroup"]
    if asked:
        raise ConfigError([Problem(f"{name}: {_NOT_YOURS}", where, _HOW_TO) for name, where in asked])
    return [TellWithoutGroup()]


def planned_paths(steps: list[Step]) -> tuple[str, ...]:
    """The groups that a list of steps makes."""
    return tuple(step.path for step in steps if isinstance(step, CreateCgroup))


def _make_directory(path: str) -> None:
    """Make a group and the one above.

    Raises:
        ContainerError: It is there and has processes in it.
    """
    while True:
        try:
            os.mkdir(path, 0o755)
            return
        except FileExistsError:
            _remove_stale(path)
        except FileNotFoundError:  # also when the last container of another supervisor takes the parent along
            try:
                os.mkdir(os.path.dirname(path), 0o755)
            except FileExistsError:
                continue


def _remove_stale(path: str) -> None:
    if is_populated(path) or remove_groups((path,)):
        raise ContainerError(
            f'cannot create the cgroup "{path}"',
            why="it exists and has processes in it",
            hint=f"see {path}/cgroup.procs",
        )
