"""Running another program in a container: joined to everything of it, confined like its first process.

The plan is walked by the same `Container` as a start; only the steps differ. All that is needed of the host is opened
before the container's namespaces are entered, and what confines the program comes from the recorded configuration,
because the first process itself may have changed what it shows of its own.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError
from haconiwa.isolation import capabilities, ids, process, rlimits, rootfs, terminal
from haconiwa.isolation.cgroups import JoinCgroup
from haconiwa.isolation.namespaces import FLAGS, BecomeMappedRoot, CloneProcess, LeavePidNamespace
from haconiwa.isolation.seccomp import filters
from haconiwa.isolation.step import INSIDE, PARENT, SUPERVISOR, Site, Step
from haconiwa.kernel.capabilities import full_mask, to_names
from haconiwa.kernel.namespaces import CLONE, setns
from haconiwa.kernel.process import set_dumpable
from haconiwa.lifecycle.confine import plan_confinement, plan_label
from haconiwa.lifecycle.identity import identify, open_pidfd
from haconiwa.lifecycle.imports import KeepTimeZone, RefuseImports
from haconiwa.lifecycle.members import container_pids
from haconiwa.lifecycle.program import ExecuteProgram, FindProgram, HandOver
from haconiwa.spec.model import CapabilitiesSpec, ContainerSpec, RlimitSpec, UserSpec
from haconiwa.spec.record import Record, replace
from haconiwa.spec.seccomp import Condition, FilterSpec, RuleSpec, SeccompSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from haconiwa.lifecycle.state import State

SHELLS = (("/bin/bash",), ("/bin/sh",))
"""What is run when no command is given: the first that the container has."""


class AttachRequest(Record):
    """What to run and as whom.

    Attributes:
        command: argv; empty for the first of `SHELLS`.
        target_pid: Another process of the container to join, as the host sees it; None joins its first.
        allow, drop: Capabilities more or fewer than the first process was given; ``all`` for every one of the kernel's.
        uid, gid: Instead of the container's own.
        workdir: Instead of the container's own.
        environ: Over the container's own.
        term: The caller's TERM.
    """

    command: tuple[str, ...] = ()
    target_pid: int | None = None
    allow: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    uid: int | str | None = None
    gid: int | str | None = None
    workdir: str | None = None
    environ: Mapping[str, str]
    term: str | None = None


class OpenTarget(Step):
    """Open the process to join and its root, and check that it is one of the container's."""

    __slots__ = ("pid", "state")

    def __init__(self, state: State, target_pid: int | None) -> None:
        super().__init__(SUPERVISOR)
        self.state = state
        self.pid = state.init.pid if target_pid is None else target_pid

    def describe(self) -> str:
        return f"open the process {self.pid}"

    def execute(self, site: Site) -> None:
        if self.pid == self.state.init.pid:
            pidfd = open_pidfd(self.state.init)
        else:
            pidfd = self._open_member()
        if pidfd < 0:
            raise ContainerError("is not running", subject=self.state.name)
        site.trees["target"] = pidfd
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        site.root_fd = site.trees["root"] = os.open(f"/proc/{self.pid}/root", flags)

    def _open_member(self) -> int:
        try:
            target = identify(self.pid)
        except (OSError, ValueError):
            target = None
        if target is None or self.pid not in container_pids(self.state):
            raise ContainerError(f"has no process {self.pid}", subject=self.state.name)
        return open_pidfd(target)


class OpenGroups(Step):
    """Open the container's groups, to be born in the v2 one and to join the v1 ones."""

    __slots__ = ("paths",)

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(SUPERVISOR)
        self.paths = paths

    def describe(self) -> str:
        return f"open the cgroups {' '.join(self.paths)}"

    def execute(self, site: Site) -> None:
        for path in self.paths:
            if os.path.exists(f"{path}/tasks"):
                site.tasks_fds.append(os.open(f"{path}/tasks", os.O_WRONLY | os.O_CLOEXEC))
            else:
                site.cgroup_fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class JoinPidNamespace(Step):
    """Let the next child be born in the container's pid namespace."""

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "enter the container's pid namespace"

    def execute(self, site: Site) -> None:
        setns(site.trees["target"], CLONE.NEWPID)


class JoinUserNamespace(Step):
    """An ordinary user's way: enter the user namespace, and let the next child be born in the pid namespace.

    There is no way back, so the process does nothing afterwards but wait for the child. What is in the container must
    look at neither: both have the host's root, and the child until it has entered the rest. So this process hides
    before, and the child is born hidden; it takes a right outside of the container's user namespace to see them.
    """

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "enter the container's user and pid namespaces"

    def execute(self, site: Site) -> None:
        set_dumpable(False)
        setns(site.trees["target"], CLONE.NEWUSER | CLONE.NEWPID)


class VisitMountNamespace(Step):
    """Clone the child out of the container's mount namespace.

    A process of the container with CAP_SYS_PTRACE can look at the root of whatever is in its pid namespace, from the
    first moment on. So the child must never have had the host's.
    """

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "visit the container's mount namespace"

    def execute(self, site: Site) -> None:
        site.trees["own mounts"] = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        site.trees["own root"] = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        setns(site.trees["target"], CLONE.NEWNS)
        os.fchdir(site.root_fd)
        os.chroot(".")

    def undo(self, site: Site) -> None:
        return_home(site)


class LeaveMountNamespace(Step):
    """Return to the host's mounts once the child is made."""

    def __init__(self) -> None:
        super().__init__(PARENT)

    def describe(self) -> str:
        return "return to the host's mounts"

    def execute(self, site: Site) -> None:
        return_home(site)


def return_home(site: Site) -> None:
    """Take the own mount namespace and root again, after a visit. Idempotent."""
    own_mounts, own_root = site.trees.pop("own mounts", -1), site.trees.pop("own root", -1)
    if own_root >= 0:
        setns(own_mounts, CLONE.NEWNS)
        os.fchdir(own_root)
        os.chroot(".")
        os.close(own_mounts)
        os.close(own_root)


class JoinNamespaces(Step):
    """Enter the other namespaces of the container, all at once, in the order the kernel knows."""

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(INSIDE)
        self.names = names

    def describe(self) -> str:
        return f"enter the container's namespaces {' '.join(self.names)}"

    def execute(self, site: Site) -> None:
        flags = 0
        for name in self.names:
            flags |= FLAGS[name]
        setns(site.trees["target"], flags)


class EnterRoot(Step):
    """Take the container's root as the root."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "enter the container's root"

    def execute(self, site: Site) -> None:
        os.fchdir(site.root_fd)
        os.chroot(".")


def plan_attach(state: State, request: AttachRequest) -> tuple[ContainerSpec, list[Step]]:
    """Every step of an attach, in order, and the spec of what it starts.

    Args:
        state: The container.
        request: What to run in it.
    """
    spec = _confinement(state.config, request)
    unshared = [*state.config["namespaces"], *(joined["type"] for joined in state.config["joined_namespaces"])]
    if (state.config.get("network") or {}).get("share"):
        unshared.append("net")
    others = tuple(name for name in unshared if name != "pid")
    programs = (request.command,) if request.command else SHELLS
    steps: list[Step] = [KeepTimeZone(SUPERVISOR), OpenTarget(state, request.target_pid), OpenGroups(state.cgroups)]
    rarer = [*rlimits.plan_raising(spec), *plan_confinement(spec)]
    steps += [step for step in rarer if step.place == SUPERVISOR]  # while this process has the host's root
    if "mount" in others and "user" not in others:
        # With a user namespace the container has no power over a process that is still outside of it.
        steps += [VisitMountNamespace(), LeaveMountNamespace()]
        others = tuple(name for name in others if name != "mount")
    if spec.unprivileged:
        steps.append(JoinUserNamespace())
        others = tuple(name for name in others if name != "user")
    elif "pid" in unshared:
        steps += [JoinPidNamespace(), LeavePidNamespace()]
    steps += [CloneProcess(spec), *process.plan_child(), *_joining_groups(state), RefuseImports()]
    if others:
        steps.append(JoinNamespaces(others))
    if "user" in unshared:
        steps.append(BecomeMappedRoot(keeps_groups=spec.keeps_groups))
    steps += [EnterRoot(), *terminal.plan(spec), *ids.plan_lookup(spec)]
    steps += [*(step for step in rarer if step.place != SUPERVISOR), *capabilities.plan_bounding(spec), *ids.plan(spec)]
    steps += [*capabilities.plan(spec), *process.plan_last(spec), *rootfs.plan_workdir(spec)]
    steps += [*plan_label(spec), *rlimits.plan(spec)]
    find = FindProgram(programs, spec.environ, request.term)
    return spec, [*steps, find, HandOver(), *filters.plan(spec), ExecuteProgram(programs)]


def _joining_groups(state: State) -> list[Step]:
    return [JoinCgroup()] if any(os.path.exists(f"{path}/tasks") for path in state.cgroups) else []


def _confinement(config: Mapping[str, Any], request: AttachRequest) -> ContainerSpec:
    """What confines the container's first process, with the changes asked for. It makes no namespaces of its own."""
    own = config["user"]
    user = UserSpec(uid=own["uid"], gid=own["gid"], groups=tuple(own["groups"]))
    if request.uid is not None:
        user = UserSpec(uid=request.uid, gid=request.gid)
    elif request.gid is not None:
        user = replace(user, gid=request.gid)
    return ContainerSpec(
        name=config["name"],
        environ={**config["environ"], **request.environ},
        workdir=request.workdir or config["workdir"],
        user=user,
        rlimits=tuple(RlimitSpec(name=r["name"], soft=r["soft"], hard=r["hard"]) for r in config["rlimits"]),
        capabilities=_capabilities(config["capabilities"], request),
        no_new_privs=config["no_new_privs"],
        unprivileged=config["unprivileged"],
        keeps_groups=config["keeps_groups"],
        seccomp=_seccomp(config["seccomp"]),
        **_rarer(config),
        stdio={},
        metadata={},
        sources={},
    )


def _rarer(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `haconiwa.lifecycle.confine`."""
    names = ("apparmor", "selinux_context", "oom_score_adj", "umask", "personality")
    settings = {name: config[name] for name in names}
    if config["landlock"]:
        from haconiwa.spec.confinement import LandlockRule

        settings["landlock"] = tuple(LandlockRule(**{**rule, "where": None}) for rule in config["landlock"])
    return settings


def _capabilities(config: Mapping[str, Any], request: AttachRequest) -> CapabilitiesSpec:
    """What the first process was given, with the changes asked for; ``all`` stands for every one of the kernel's."""
    given = None if "all" in request.allow else config["bounding"]
    if given is None and not request.drop:
        return CapabilitiesSpec(bounding=None, ambient=frozenset(config["ambient"]))
    kept = frozenset(to_names(full_mask()) if given is None else given)
    if "all" in request.drop:
        kept = frozenset()  # what is named to be allowed stays
    bounding = (kept | (request.allow - {"all"})) - request.drop
    return CapabilitiesSpec(bounding=bounding, ambient=frozenset(config["ambient"]) & bounding)


def _seccomp(config: Mapping[str, Any]) -> SeccompSpec:
    filters = tuple(
        FilterSpec(default=each["default"], code=each["code"], rules=tuple(_rule(rule) for rule in each["rules"]))
        for each in config["filters"]
    )
    return SeccompSpec(profile=config["profile"], text=config["text"], filters=filters)


def _rule(config: Mapping[str, Any]) -> RuleSpec:
    """A rule as recorded. Nobody listens to what is started here, so that the calls for a function fail."""
    told = config["action"] == "notify"
    return RuleSpec(
        action="errno" if told else config["action"],
        names=tuple(config["names"]),
        code=errno.ENOSYS if told else config["code"],
        when=tuple(Condition(**condition) for condition in config["when"]),
    )
