"""From a haco file to a barn at work and its end: planning, names, the barn's own hooks."""

from __future__ import annotations

import os

from haconiwa.errors import EXIT_FAILURE, ContainerError
from haconiwa.host.cgroups import hierarchies
from haconiwa.host.descriptors import write_all
from haconiwa.lifecycle.plan import plan_start, warnings
from haconiwa.lifecycle.state import remove_pid_file
from haconiwa.supervisor.barn import Work
from haconiwa.supervisor.base import Barn
from haconiwa.supervisor.caller import check_caller
from haconiwa.supervisor.member import Member, give_back_names, take_names
from haconiwa.supervisor.messages import as_failure, report
from haconiwa.supervisor.pid_file import write_pid_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import HaconiwaError, HookError
    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import BarnSpec, ContainerSpec
    from haconiwa.supervisor.barn import BarnOptions
    from haconiwa.supervisor.daemon import Report


def prepare(spec: BarnSpec, options: BarnOptions) -> tuple[BarnSpec, list[Member]]:
    """The file for this host, and its containers with the plans of their starts.

    Raises:
        HaconiwaError: The caller may not use it, or the host cannot do what it asks for.
    """
    check_caller(spec)
    if any(container.auto_ids for container in spec.containers):
        from haconiwa.lifecycle.id_ranges import take_id_ranges

        spec = take_id_ranges(spec)
    term = os.environ.get("TERM") if options.terminal else None
    found = hierarchies()

    def plan(container: ContainerSpec) -> list[Step]:
        return plan_start(container, found, daemon=spec.daemonize, term=term)

    members = [Member(container, plan) for container in spec.containers]
    if not options.quiet:
        _warn(members, options.message_fd)
    return spec, members


def _warn(members: list[Member], message_fd: int) -> None:
    for member in members:
        for line in warnings(member.steps, member.spec.name):
            write_all(message_fd, f"{line}\n".encode())


def run_barn(spec: BarnSpec, options: BarnOptions) -> int:
    """Start the containers of a haco file and look after them until all have ended.

    For a daemon the caller gets its answer as soon as every container runs, or one has failed.

    Args:
        spec: The file.
        options: How to work.

    Returns:
        The exit status: of the first container that failed, else 0.

    Raises:
        HaconiwaError: Nothing was started.
    """
    spec, members = prepare(spec, options)
    options.note("the plan")
    try:
        take_names(members)
        live = Barn(spec.file, tuple(container.name for container in spec.containers))
        if error := _call_hooks(spec, live, "setup"):
            return _end(spec, live, error.exit_status, error)
        options.note("its names and the setup hooks")
        return lead(Work, spec, options, members, live)
    finally:
        give_back_names(members)


def lead(kind: type[Work], spec: BarnSpec, options: BarnOptions, members: list[Member], live: Barn) -> int:
    """Let the supervisors of a barn work, in a process of their own if it is a daemon.

    Args:
        kind: How they begin.
        spec: The file.
        options: How to work.
        members: Its containers.
        live: What the barn's hooks receive.

    Returns:
        The exit status.
    """
    if not spec.daemonize:
        return _work(kind, spec, options, members, live)
    from haconiwa.supervisor.daemon import work_in_background

    return work_in_background(
        members, options.message_fd, lambda answer: _work(kind, spec, options, members, live, answer)
    )


def _work(
    kind: type[Work],
    spec: BarnSpec,
    options: BarnOptions,
    members: list[Member],
    live: Barn,
    answer: Report | None = None,
) -> int:
    """Let them work; whatever ends that, the last hooks are called once all of them are gone."""
    relay = None
    try:
        if answer:
            from haconiwa.supervisor.daemon import settle_in

            options, relay = settle_in(spec, options, members)
        if spec.container_pid_file:
            write_pid_file(spec.container_pid_file)
        failed = kind(spec, options, members, answer).run()
        if relay:
            relay.finish()
    except Exception as error:
        failure = as_failure(error, spec.file, debug=options.trace)
        report(failure)
        if answer:
            answer.fail(failure)
        if kind.adopts or any(member.pidfd >= 0 for member in members):
            return failure.exit_status  # without a barn those in the background go on, and others end by themselves
        return _end(spec, live, failure.exit_status, failure)
    if kind.adopts and not any(member.container_pid for member in members):
        _remove_pid_file(spec)
        return EXIT_FAILURE  # it has never been a barn
    if failed is None:
        return _end(spec, live, 0)
    return _end(spec, live, failed.exit_status or 0, ContainerError(failed.describe_exit(), subject=failed.name))


def _call_hooks(spec: BarnSpec, live: Barn, *points: str) -> HookError | None:
    if not spec.hooks:
        return None
    from haconiwa.supervisor.barn_hooks import call_hooks

    return call_hooks(spec, live, *points)


def _end(spec: BarnSpec, live: Barn, status: int, error: HaconiwaError | None = None) -> int:
    """Call the last hooks and take the pid file away; the exit status."""
    live.exit_status, live.system_exception = status, error
    _call_hooks(spec, live, *(("system_failure", "teardown") if status else ("teardown",)))
    _remove_pid_file(spec)
    return live.exit_status or 0


def _remove_pid_file(spec: BarnSpec) -> None:
    if spec.container_pid_file:
        remove_pid_file(spec.container_pid_file, os.getpid())
