"""A barn that goes on with containers in the background whose supervisors have died.

They run, so nothing of it stops any of them: what cannot be adopted stays an orphan, and the others are looked after.
"""

from __future__ import annotations

from haconiwa.errors import EXIT_FAILURE, ContainerError
from haconiwa.lifecycle.adoption import as_started, notices
from haconiwa.lifecycle.state import live_status, read_state
from haconiwa.spec.record import replace
from haconiwa.supervisor.barn import Work
from haconiwa.supervisor.base import Barn
from haconiwa.supervisor.run import lead, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.lifecycle.state import State
    from haconiwa.spec.model import BarnSpec, ContainerSpec
    from haconiwa.supervisor.barn import BarnOptions
    from haconiwa.supervisor.daemon import Report
    from haconiwa.supervisor.member import Member


def adopt_barn(spec: BarnSpec, options: BarnOptions, say: Callable[[str], None]) -> int:
    """Look after those containers of a haco file that are orphaned, until all of them have ended.

    Args:
        spec: The file; its containers are those that are meant.
        options: How to work.
        say: Called with what the user should know, line by line.

    Returns:
        The exit status, as soon as every one of them is looked after, or could not be.

    Raises:
        HaconiwaError: None of them is orphaned, or the file cannot be used; nothing has changed.
    """
    states = _orphans(spec, say)
    containers = tuple(as_started(one, states[one.name]) for one in spec.containers if one.name in states)
    is_whole = len(containers) == len(spec.containers)  # else the barn that they have left may live
    pid_file = spec.container_pid_file if is_whole else ""
    spec = replace(spec, containers=containers, daemonize=True, container_pid_file=pid_file)
    spec, members = prepare(spec, options)
    for container in spec.containers:
        for line in notices(container, states[container.name]):
            say(f"{container.name}: {line}")
    live = Barn(spec.file, tuple(container.name for container in spec.containers))
    return lead(Adoption, spec, options, members, live)


def _orphans(spec: BarnSpec, say: Callable[[str], None]) -> dict[str, State]:
    """The records of those that are orphaned, by name; of each other one it is said why it is left alone."""
    states: dict[str, State] = {}
    reasons = []
    for container in spec.containers:
        state = read_state(container.name)
        if state is not None and live_status(state) == "orphaned":
            states[container.name] = state
        else:
            reasons.append(f"{container.name} {_reason(container, state, spec.file)}")
    if not states:
        raise ContainerError("there is nothing to adopt", why="; ".join(reasons))
    for reason in reasons:
        say(f"{reason}, so it is left alone")
    return states


def _reason(container: ContainerSpec, state: State | None, file: str) -> str:
    if state is None or live_status(state) == "stopped":
        return f"does not run (haconiwa start -D -n {container.name} {file} starts it)"
    return f"has a supervisor, pid {state.supervisor.pid}"


class Adoption(Work):
    """The supervisors at work."""

    adopts = True

    def _fork_next(self) -> None:
        """All at once, whatever comes after what: they run already."""
        for member in self._members:
            if member.is_waiting:
                self._fork(member)

    def _note_failure(self, member: Member) -> None:
        if member not in self._failed:
            self._failed.append(member)
        member.start_failed = member.start_failed or not member.container_pid

    def _is_decided(self) -> bool:
        """Whether each is looked after, or could not be."""
        wanted = "ready" if self._options.wait_ready else "container_pid"
        return all(member.start_failed or getattr(member, wanted) for member in self._members)

    def run(self) -> Member | None:
        """As for any barn; one that could not be adopted is no failure of those that were."""
        super().run()
        return next((member for member in self._failed if member.container_pid and member.exit_status), None)

    def _tell_caller(self, answer: Report) -> None:
        failed = [member for member in self._failed if member.start_failed]
        lines = [line for member in failed for line in member.failure or [f"error: {member.name}: was not adopted"]]
        adopted = [member for member in self._members if member.container_pid]
        lines += [f"{member.name}: pid={member.container_pid} supervisor={member.pid}" for member in adopted]
        answer.send(EXIT_FAILURE if failed else 0, lines)
