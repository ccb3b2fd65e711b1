"""What the kernel tells of the container's groups: recorded, and functions of the haco file's called for it."""

from __future__ import annotations

import os

from haconiwa.errors import HookError
from haconiwa.host.loop import PRIORITY, READABLE
from haconiwa.isolation.cgroup_events import watch_oom
from haconiwa.isolation.groups import oom_kills
from haconiwa.lifecycle.hooks import call_function, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.loop import Timer
    from haconiwa.isolation.cgroup_events import Source
    from haconiwa.spec.supervision import CgroupHookSpec
    from haconiwa.supervisor.supervisor import Supervisor


class OomEvents:
    """Tells of memory that is used up, where no hook of the haco file's is called for it.

    Args:
        group: The container's with the memory controller, made for this run.
        supervisor: Of the container.
    """

    def __init__(self, group: str, supervisor: Supervisor) -> None:
        self._source = watch_oom(group)
        self._supervisor = supervisor
        events = PRIORITY if self._source.by_priority else READABLE
        supervisor.loop.watch(self._source.fd, lambda _events: self.look(told=True), events)
        self._tell(oom_kills((group,)))  # before it was watched

    def look(self, *, told: bool = False) -> None:
        """Tell what was not told yet."""
        self._tell(self._source.take(told=told))

    def _tell(self, count: int) -> None:
        if count:
            self._supervisor.tell("oom", count=count)

    def cancel(self) -> None:
        """The container has ended, and what its end was is told."""
        self._supervisor.loop.unwatch(self._source.fd)
        os.close(self._source.fd)


class CgroupHook:
    """One of them, for one run of a container. Events that come while a function runs make for one more call."""

    def __init__(self, spec: CgroupHookSpec, source: Source, supervisor: Supervisor) -> None:
        self._spec = spec
        self._source = source
        self._supervisor = supervisor
        self._timer: Timer | None = None
        self._plan_look()
        supervisor.loop.watch(
            source.fd, lambda _events: self._look(told=True), PRIORITY if source.by_priority else READABLE
        )

    def _plan_look(self) -> None:
        if self._source.look_every_s is not None:
            self._timer = self._supervisor.loop.call_after(self._source.look_every_s, self._look_unasked)

    def _look_unasked(self) -> None:
        self._look(told=False)
        self._plan_look()

    def cancel(self) -> None:
        """The container has ended: call once more for what was not told yet, and then no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._supervisor.loop.unwatch(self._source.fd)
        self._look(told=False)

    def _look(self, *, told: bool) -> None:
        count = self._source.take(told=told)
        if not count:
            return
        spec = self._spec
        self._supervisor.tell(spec.type, level=spec.level or None, count=count)
        what = f'the {spec.type} hook "{function_name(spec.function)}"'
        try:
            call_function(spec.function, self._supervisor.base, what, spec.where, timeout_s=spec.timeout_s)
        except HookError as error:
            self._supervisor.report(error)
