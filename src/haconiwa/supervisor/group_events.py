"""What the kernel tells of the container's groups: recorded, and functions of the haco file's called for it."""

from __future__ import annotations

import os

from haconiwa.errors import HookError
from haconiwa.host.loop import PRIORITY, READABLE
from haconiwa.host.rate import Rate
from haconiwa.isolation.cgroup_events import watch_oom
from haconiwa.isolation.groups import oom_kills
from haconiwa.lifecycle.hooks import call_function, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.host.loop import Loop, Timer
    from haconiwa.isolation.cgroup_events import Source
    from haconiwa.spec.supervision import CgroupHookSpec
    from haconiwa.supervisor.supervisor import Supervisor

_TELL_EVERY_S = 1.0


class OomEvents:
    """Tells of memory that is used up, where no hook of the haco file's is called for it: once a second at most.

    Args:
        group: The container's with the memory controller, made for this run.
        loop: Where it is watched.
        tell: Called with the event and its count.
    """

    def __init__(self, group: str, loop: Loop, tell: Callable[..., None]) -> None:
        self._source = watch_oom(group)
        self._loop = loop
        self._tell = tell
        self._untold = oom_kills((group,))  # before it was watched
        self._pause: Timer | None = None
        loop.watch(self._source.fd, lambda _events: self._look(), PRIORITY if self._source.by_priority else READABLE)
        self._tell_all()

    def _look(self) -> None:
        self._untold += self._source.take(told=True)
        if self._pause is None:
            self._tell_all()

    def _tell_all(self) -> None:
        """Tell what has come, and nothing more for a while: a container can make as many events as it likes."""
        self._pause = None
        if self._untold:
            count, self._untold = self._untold, 0
            self._tell("oom", count=count)
            self._pause = self._loop.call_after(_TELL_EVERY_S, self._tell_all)

    def flush(self) -> None:
        """Tell what was not told yet, without waiting."""
        self._untold += self._source.take(told=False)
        self._end_pause()
        self._tell_all()

    def cancel(self) -> None:
        """The container has ended: tell what is left, and then no more."""
        self.flush()
        self._end_pause()
        self._loop.unwatch(self._source.fd)
        os.close(self._source.fd)

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()


class CgroupHook:
    """One of them, for one run of a container. Events that come while a function runs make for one more call.

    Args:
        spec: The function and what it wants to hear of.
        source: Where the kernel tells.
        supervisor: Of the container.
        report: Called with each failure of the function.
    """

    def __init__(
        self, spec: CgroupHookSpec, source: Source, supervisor: Supervisor, report: Callable[[HookError], None]
    ) -> None:
        self._spec = spec
        self._report = report
        self._source = source
        self._supervisor = supervisor
        self._rate = Rate()
        self._untold = 0
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
        if self._untold:
            self._tell()

    def _look(self, *, told: bool) -> None:
        count = self._source.take(told=told)
        if not count:
            return
        self._untold += count
        if self._rate.take():  # a container can make as many events as it likes
            self._tell()
        spec = self._spec
        what = f'the {spec.type} hook "{function_name(spec.function)}"'
        try:
            call_function(spec.function, self._supervisor.base, what, spec.where, timeout_s=spec.timeout_s)
        except HookError as error:
            self._report(error)

    def _tell(self) -> None:
        count, self._untold = self._untold, 0
        self._supervisor.tell(self._spec.type, level=self._spec.level or None, count=count)
