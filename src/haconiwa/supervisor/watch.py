"""What a supervisor does while its container runs: wait for its end, call timers and handlers, stop it when told."""

from __future__ import annotations

import time

from haconiwa.errors import HookError
from haconiwa.host.loop import READABLE, Timer
from haconiwa.isolation.groups import memory_group
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.lifecycle.identity import signal_process
from haconiwa.lifecycle.stop import LOOK_EVERY_S, heeds
from haconiwa.supervisor.memory import settle
from haconiwa.supervisor.timers import AsyncHook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.errors import HaconiwaError
    from haconiwa.host.rate import Reports
    from haconiwa.supervisor.group_events import CgroupHook, OomEvents
    from haconiwa.supervisor.health import Health, Readiness
    from haconiwa.supervisor.supervisor import Supervisor

_STOP_TIMEOUT_S = 10.0


class Watch:
    """The watch over one run of a container.

    Args:
        supervisor: Its own.

    Attributes:
        stopped_by: Who has asked for its end; empty while nobody has.
        killed_late: TERM had no effect in time, KILL ended it.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self.stopped_by = ""
        self.killed_late = False
        self._supervisor = supervisor
        self._container = supervisor.container
        self._spec = supervisor.container.spec
        self._base = supervisor.base
        self._loop = supervisor.loop
        self._stopping: Timer | None = None
        self._looking: Timer | None = None
        self._began = time.monotonic()
        self._readiness = () if supervisor.state.health == "ready" else self._spec.readiness
        self._not_ready_yet = len(self._readiness)
        self._signalled_by: dict[int, str] = {}
        self._oom: OomEvents | None = None
        self._reports: Reports | None = None

    def run_until_end(self) -> int:
        """Watch until the container has ended.

        Returns:
            Its exit status.
        """
        settle(self._loop)
        self._loop.watch(self._container.pidfd, lambda _events: self._ended())
        timers = [AsyncHook(timer, self._base, self._loop, self.report) for timer in self._spec.timers]
        self._let_functions_decide()
        self._base._on_stop(lambda: self._supervisor.stop("a hook"))
        watched = self._container.site.watched
        for fd, callback in watched.items():
            self._watch(fd, callback)
        looks = [*self._begin_events(), *self._begin_looks()]
        self._supervisor.take_signals()  # what came during the start
        self._loop.run_until(lambda: self._container.exit_status is not None)
        for timer in timers:
            timer.stop()
        for fd in watched:
            self._loop.unwatch(fd)
        for look in looks:
            look.cancel()
        for pending in filter(None, (self._stopping, self._looking)):
            pending.cancel()
        self._loop.unwatch(self._container.site.listener_fd)
        return self._container.exit_status or 0

    def _watch(self, fd: int, callback: Callable[[], bool]) -> None:
        self._loop.watch(fd, lambda _events: None if callback() else self._loop.unwatch(fd))

    def _let_functions_decide(self) -> None:
        """Answer the system calls that the haco file has functions for, until nobody is left who could make one."""
        fd = self._container.site.listener_fd
        if fd < 0:
            return
        from haconiwa.lifecycle.notify import Decider

        decider = Decider(fd, self._spec.seccomp, self.report)
        self._loop.watch(fd, lambda events: decider.decide() if events & READABLE else self._loop.unwatch(fd))

    def _begin_events(self) -> list[CgroupHook | OomEvents]:
        """Begin to tell of events of its groups, and to call the hooks for them."""
        group = memory_group(self._container.site.cgroup_paths)
        if not (self._spec.cgroup_hooks or group):
            return []
        from haconiwa.supervisor.group_events import CgroupHook, OomEvents

        pairs = zip(self._spec.cgroup_hooks, self._container.site.group_events, strict=True)
        looks: list[CgroupHook | OomEvents] = [
            CgroupHook(hook, source, self._supervisor, self.report) for hook, source in pairs
        ]
        if group and all(hook.type != "oom" for hook in self._spec.cgroup_hooks):
            try:
                self._oom = OomEvents(group, self._loop, self._supervisor.tell)
                looks.append(self._oom)
            except OSError:
                pass  # this kernel does not tell
        return looks

    def _begin_looks(self) -> list[Readiness | Health]:
        """Begin to look whether the container gets ready and stays healthy, where the file says how."""
        if not (self._readiness or self._spec.healthcheck):
            return []
        from haconiwa.supervisor.health import Health, Readiness

        looks: list[Readiness | Health] = [
            Readiness(r, self._supervisor, self.report, self._decided) for r in self._readiness
        ]
        if self._spec.healthcheck:
            looks.append(Health(self._spec.healthcheck, self._supervisor, self.report))
        return looks

    def _decided(self, ready: bool) -> None:
        """The container is ready when all of its readiness hooks say so."""
        self._not_ready_yet -= ready
        if self._not_ready_yet == 0 or not ready:
            self._supervisor.set_ready(ready)

    def _ended(self) -> None:
        self._loop.unwatch(self._container.pidfd)
        self._base._pidfd = -1
        self._container.reap()
        self._supervisor.take_requests()  # whoever has just sent a signal has said so before
        if self._oom:
            self._oom.flush()
        from haconiwa.supervisor.ending import describe_end

        number = self._container.exit_signal
        self._supervisor.tell("exited", **describe_end(self._container, self, self._signalled_by.get(number)))

    def report(self, error: HaconiwaError) -> None:
        """Report a failure of a hook that may be called without end: of each no more than anybody reads."""
        if self._reports is None:
            from haconiwa.host.rate import Reports

            self._reports = Reports(self._supervisor.report)
        self._reports.add(error)

    @property
    def ran_s(self) -> float:
        """For how long the container has run."""
        return time.monotonic() - self._began

    def note_signal(self, number: int, by: str) -> None:
        """Remember who sends a signal to the container, before it is sent."""
        self._signalled_by[number] = by

    def call_handlers(self, number: int) -> None:
        """Call the functions for a signal that the supervisor has received."""
        for handler in self._spec.signal_handlers:
            if signal.signal_number(handler.signal) != number:
                continue
            what = f'the {handler.signal} handler "{function_name(handler.function)}"'
            try:
                call_function(handler.function, self._base, what, handler.where, timeout_s=handler.timeout_s)
            except HookError as error:
                self.report(error)

    def begin_stop(
        self, by: str, timeout_s: float | None = None, *, patient: bool = True, insists: bool = False
    ) -> None:
        """TERM as soon as it can have an effect, and KILL after a while; asked again, KILL no later than before.

        Args:
            by: Who wants it, for the record.
            timeout_s: Between TERM and KILL; None for the usual time.
            patient: Wait for a handler that the first process may still get; else KILL to one that has none.
            insists: KILL at once, if it has been asked before.
        """
        if self._container.exit_status is not None or self._container.pidfd < 0:
            return
        self.stopped_by = self.stopped_by or by
        if self._stopping:
            if insists:
                self._kill()
            elif timeout_s is not None and time.monotonic() + timeout_s < self._stopping.due:
                self._stopping.cancel()
                self._stopping = self._loop.call_after(timeout_s, self._kill_late)
            return
        timeout_s = _STOP_TIMEOUT_S if timeout_s is None else timeout_s
        self._stopping = self._loop.call_after(timeout_s, self._kill_late)
        self._terminate(self._began + timeout_s if patient else 0)

    def _terminate(self, until: float) -> None:
        """TERM as soon as it can have an effect; KILL to a first process that has had `until` then to get a handler."""
        if "pid" not in self._spec.namespaces or heeds(self._container.pid, signal.SIGTERM):
            signal_process(self._container.pidfd, signal.SIGTERM)
        elif time.monotonic() >= until:
            self._kill()
        else:
            self._looking = self._loop.call_after(LOOK_EVERY_S, lambda: self._terminate(until))

    def _kill_late(self) -> None:
        self.killed_late = True
        self._kill()

    def _kill(self) -> None:
        """KILL, again and again while others inside hold the first process."""
        if self._container.pidfd >= 0 and not self._container.kill():
            self._looking = self._loop.call_after(LOOK_EVERY_S, self._kill)
