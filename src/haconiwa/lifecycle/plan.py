"""The whole start of a container as one list, made before anything is done.

The order is a matter of security and is explained in ``docs/follow-one-start.md``.
"""

from __future__ import annotations

from haconiwa.host.cgroups import writable
from haconiwa.host.paths import log_file
from haconiwa.isolation import (
    capabilities,
    cgroups,
    ids,
    masks,
    mounts,
    namespaces,
    network,
    process,
    rlimits,
    rootfs,
    terminal,
    uts,
)
from haconiwa.isolation.seccomp import filters
from haconiwa.isolation.step import PARENT, PLACES, Step
from haconiwa.lifecycle import hooks
from haconiwa.lifecycle.confine import plan_confinement, plan_label
from haconiwa.lifecycle.imports import KeepTimeZone, RefuseImports
from haconiwa.lifecycle.program import ExecuteProgram, FindProgram, HandOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.model import ContainerSpec


def plan_start(
    spec: ContainerSpec,
    hierarchies: tuple[Hierarchy, ...],
    *,
    daemon: bool = False,
    term: str | None = None,
    program: Step | None = None,
    holds_root: bool = False,
) -> list[Step]:
    """Every step of a start, sorted by the place where it runs, and in order within each.

    Args:
        spec: The container.
        hierarchies: The host's cgroup hierarchies.
        daemon: Its streams lead to files.
        term: The caller's TERM, for a program that gets a terminal.
        program: A step that is the program itself; None executes the spec's `init_command`.
        holds_root: The caller is at work on the root file system and has the lock of it.

    Raises:
        ConfigError: Something that only shows when the steps are made.
    """
    if spec.unprivileged:
        hierarchies = writable(hierarchies)
    steps = [] if holds_root else rootfs.plan_checking(spec)
    steps += [*_on_the_host(spec, hierarchies), *_in_the_child(spec, hierarchies), *_in_the_new_root(spec)]
    steps += _program(spec, term) if program is None else _function(spec, program)
    if daemon:
        from haconiwa.isolation import stdio

        log = log_file(spec.name)
        steps += stdio.plan(stdio.daemon_streams(spec.stdio, log), log)
    steps += hooks.plan(spec, "before_start_wait")
    return sorted(steps, key=lambda step: PLACES.index(step.place))


def warnings(steps: list[Step], subject: str) -> list[str]:
    """What the user should know before the steps are taken, as lines to show."""
    shown = []
    for step in steps:
        if text := step.warning():
            shown.append(f"warning: {subject}: {text}")
            if step.where:
                shown.append(f"  at: {step.where}")
    return shown


def _on_the_host(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    return [
        *hooks.plan(spec, "before_fork"),
        *cgroups.plan(spec, hierarchies),
        *namespaces.plan_opening(spec),
        *_network(spec)[0],
        *(_opening(spec) if not spec.unprivileged else ()),
        *rlimits.plan_raising(spec),
        namespaces.CloneProcess(spec),
        *namespaces.plan_maps(spec),
        *_network(spec)[1],
        *hooks.plan(spec, "immediately_after_fork_on_parent"),
    ]


def _opening(spec: ContainerSpec) -> list[Step]:
    """What opens the root and the sources of mounts: an ordinary user may only in a mount namespace of its own."""
    return [*rootfs.plan_opening(spec), *mounts.plan_opening(spec)]


def _in_the_child(spec: ContainerSpec, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    return [
        *process.plan_child(),
        KeepTimeZone(),
        *namespaces.plan_entering(spec),
        *(_opening(spec) if spec.unprivileged else ()),
        *namespaces.plan_becoming(spec),
        *namespaces.plan_cgroup(spec),
        *_network(spec)[2],
        *hooks.plan(spec, "after_fork"),
        *uts.plan(spec),
        *network.plan(spec),
        *_sysctls(spec),
        *hooks.plan(spec, "after_network_initialized"),
        *rootfs.plan_attaching(spec),
        *mounts.plan_attaching(spec, hierarchies),
        *masks.plan(spec),
        *terminal.plan(spec),
        *ids.plan_lookup(spec),
        *hooks.plan(spec, "before_chroot"),
    ]


def _in_the_new_root(spec: ContainerSpec) -> list[Step]:
    return [
        RefuseImports(),
        *rootfs.plan_entering(spec),
        *hooks.plan(spec, "after_chroot"),
        *plan_confinement(spec),
        *capabilities.plan_bounding(spec),
        *ids.plan(spec),
        *capabilities.plan(spec),
        *process.plan_last(spec),
        *rootfs.plan_workdir(spec),
        *plan_label(spec),
        *rlimits.plan(spec),
    ]


def _network(spec: ContainerSpec) -> tuple[list[Step], list[Step], list[Step]]:
    """The supervisor's steps before and after the clone, and the child's; most containers have only hooks."""
    if spec.network is None:
        return [], hooks.plan(spec, "after_network_created"), []
    from haconiwa.isolation.net import steps
    from haconiwa.lifecycle import shared_network

    created = hooks.plan(spec, "after_network_created", PARENT)
    return (
        [*steps.plan_reserving(spec.network), *shared_network.plan_opening(spec.network)],
        [*steps.plan_connecting(spec, spec.network), *created, *steps.plan_telling(spec, spec.network)],
        [*shared_network.plan_entering(spec.network), *steps.plan_waiting(spec, spec.network)],
    )


def _program(spec: ContainerSpec, term: str | None) -> list[Step]:
    programs, where = (spec.init_command,), spec.sources.get("init_command")
    find = FindProgram(programs, spec.environ, term, where)
    return [find, HandOver(), *filters.plan(spec), ExecuteProgram(programs, where)]


def _function(spec: ContainerSpec, call: Step) -> list[Step]:
    return [HandOver(), *filters.plan(spec), *capabilities.plan_without_exec(spec), call]


def _sysctls(spec: ContainerSpec) -> list[Step]:
    """Most containers set none."""
    if not spec.sysctls:
        return []
    from haconiwa.isolation import sysctls

    return sysctls.plan(spec)
