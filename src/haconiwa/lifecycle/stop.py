"""Ending a container from outside its supervisor, by what is recorded of it."""

from __future__ import annotations

import os
import time

from haconiwa.errors import ContainerError
from haconiwa.isolation.groups import kill_groups, member_pids
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.held import holders, wait_for_end_of_all
from haconiwa.lifecycle.identity import NOBODY, age_s, open_pidfd, signal_process, wait_for_end
from haconiwa.lifecycle.state import Claim, State, is_supervised, live_status, without_those_of_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_EVERY_S = 0.05
"""How often to look whether a first process has got a handler for TERM; nothing tells."""
_LAST_POINTS = ("before_start_wait", "teardown_container", "after_failure")
_SETTLE_S = 10.0
"""How long a supervisor may take for its teardown hooks and clean-up before we stop waiting for it."""


def heeds(pid: int, number: int) -> bool:
    """Whether a signal can have any effect on the first process of a pid namespace.

    The kernel drops a signal for which such a process has no handler, except KILL and STOP from outside.
    See: pid_namespaces(7)
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return False
    bit = 1 << number - 1
    # A blocked signal stays pending and may be taken by sigwait(3) or a signalfd.
    return bool((int(fields["SigCgt"], 16) | int(fields["SigBlk"], 16)) & bit)


def ends_by_pid_namespace(state: State) -> bool:
    """Whether everything inside ends with the first process."""
    return "pid" in state.config.get("namespaces", ())


def send_signal(state: State, number: int, timeout_s: float) -> None:
    """Send one signal to the container's first process and wait until it and its supervisor are gone.

    Args:
        state: The container.
        number: The signal.
        timeout_s: How long to wait; below 0 does not wait.

    Raises:
        ContainerError: It does not run, or is still there after the timeout.
    """
    pidfd = _open_init(state)
    try:
        _note(state, [number], "haconiwa kill", final=timeout_s >= 0)
        signal_process(pidfd, number)
        if timeout_s < 0:
            return
        if not wait_for_end(pidfd, timeout_s):
            raise ContainerError(
                f"still runs {timeout_s:g} s after {signal.signal_name(number)}",
                hint=f"haconiwa stop {state.name} ends it with KILL",
                subject=state.name,
            )
    finally:
        os.close(pidfd)
    _wait_for_supervisor(state)


def stop(state: State, timeout_s: float, say: Callable[[str], None]) -> None:
    """TERM to the first process, and after the timeout KILL to everything.

    Args:
        state: The container.
        timeout_s: Between the two. A first process that has run for longer without a handler for TERM gets KILL at
            once; a younger one may still get a handler.
        say: Called with what is done, in words.

    Raises:
        ContainerError: It does not run, or cannot be ended.
    """
    if state.init == NOBODY and _give_up_start(state):
        return
    if live_status(state) == "stopping":
        _note(state, [], "haconiwa stop", final=True)
        _wait_for_supervisor(state)
        return
    pidfd = _open_init(state)
    try:
        _note(state, [signal.SIGTERM, signal.SIGKILL], "haconiwa stop", final=True)
        _terminate(state, pidfd, timeout_s, say)
        if not kill_all(state, pidfd, _SETTLE_S):
            raise ContainerError("still runs after KILL", why=_why_it_stays(state), subject=state.name)
    finally:
        os.close(pidfd)
    _wait_for_supervisor(state)


def kill_all(state: State, pidfd: int, timeout_s: float) -> bool:
    """KILL to everything inside, and wait for the end of the first process, which may have ended already.

    Args:
        state: The container.
        pidfd: Of its first process.
        timeout_s: How long to wait.

    Returns:
        Whether it has ended.
    """
    signal_process(pidfd, signal.SIGKILL)
    if ends_by_pid_namespace(state):
        return wait_for_end_of_all(pidfd, state.init.pid, timeout_s)
    kill_groups(without_those_of_others(state.name, state.cgroups))
    return wait_for_end(pidfd, timeout_s)


def _why_it_stays(state: State) -> str:
    if others := holders(state.init.pid):
        return f"another process holds it by ptrace(2): {' '.join(map(str, sorted(others)))}"
    return "a process does not leave the kernel"


def _terminate(state: State, pidfd: int, timeout_s: float, say: Callable[[str], None]) -> None:
    """TERM to the first process as soon as it can have an effect, and wait for its end until the time is over."""
    deadline = time.monotonic() + timeout_s
    until = deadline - age_s(state.init)
    told = False
    while ends_by_pid_namespace(state) and not heeds(state.init.pid, signal.SIGTERM):
        rest_s = until - time.monotonic()
        if rest_s <= 0:
            say(f"{state.name}: its first process has no handler for TERM, sending KILL")
            return
        if not told:
            say(f"{state.name}: its first process has no handler for TERM yet, KILL follows in {rest_s:.0f} s")
            told = True
        if wait_for_end(pidfd, min(rest_s, LOOK_EVERY_S)):
            return
    signal_process(pidfd, signal.SIGTERM)
    if not wait_for_end(pidfd, deadline - time.monotonic()):
        _note(state, [signal.SIGKILL], "haconiwa stop", final=True, late=True)


def _note(state: State, numbers: list[int], by: str, *, final: bool, late: bool = False) -> None:
    """Let the supervisor know who signals its container.

    Args:
        state: The container.
        numbers: The signals.
        by: Who.
        final: It is not to be started again.
        late: It did not heed TERM in time.
    """
    from haconiwa.lifecycle.ask import note  # supervisors load this module too, and never ask anybody

    note(state.name, signals=numbers, by=by, final=final, late=late)


def _give_up_start(state: State) -> bool:
    """Let a supervisor that has not made the first process yet, since a hook of its takes long, take back its start."""
    pidfd = open_pidfd(state.supervisor)
    if pidfd < 0:
        return False
    signal_process(pidfd, signal.SIGTERM)
    os.close(pidfd)
    _wait_for_supervisor(state)
    return True


def _open_init(state: State) -> int:
    pidfd = open_pidfd(state.init)
    if pidfd < 0:
        raise ContainerError("is not running", subject=state.name)
    return pidfd


def _wait_for_supervisor(state: State) -> None:
    """Wait until the name is free again; clear up in place of a supervisor that is dead."""
    pidfd = open_pidfd(state.supervisor)
    if pidfd >= 0:
        gone = wait_for_end(pidfd, _SETTLE_S)
        os.close(pidfd)
        if not gone:
            raise ContainerError(
                "its program has ended but its supervisor still runs",
                why=f"one of its hooks hangs: {_last_hooks(state)}",
                hint=f"kill -TERM {state.supervisor.pid} interrupts it",
                subject=state.name,
            )
    if not is_supervised(state.name):
        forget(state)
        refuse_leftovers(state)


def refuse_leftovers(state: State) -> None:
    """Name a group that stays because processes that are not the container's are in it.

    Raises:
        ContainerError: There is one.
    """
    for path in state.cgroups:
        if os.path.isdir(path) and not is_supervised(state.name):
            pids = " ".join(map(str, member_pids(path)))
            raise ContainerError(
                f'has ended, but the cgroup "{path}" stays',
                why=f"something else put processes into it: {pids or 'they cannot be seen from here'}",
                hint="end them or move them out; until then the name cannot be started again",
                subject=state.name,
            )


def _last_hooks(state: State) -> str:
    """The hooks that may run once the program has: only the supervisor knows which one does, and that waits for it."""
    hooks = [hook for hook in state.config.get("hooks", ()) if hook["point"] in _LAST_POINTS]
    return ", ".join(f'{hook["point"]} "{hook["function"]}"' for hook in hooks) or "a timer's or a handler's"


def forget(state: State) -> None:
    """Remove what a dead supervisor recorded and left, unless another one has taken the name meanwhile."""
    try:
        Claim(state.name).release()  # taking a claim clears away
    except ContainerError:
        return
