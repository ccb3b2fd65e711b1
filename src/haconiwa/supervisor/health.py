"""Readiness and health of a running container: when to look, and what follows."""

from __future__ import annotations

import time

from haconiwa.errors import ContainerError, HookError
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.supervisor.probes import Probe, make_probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from haconiwa.host.loop import Timer
    from haconiwa.spec.supervision import HealthcheckSpec, ReadinessSpec
    from haconiwa.supervisor.supervisor import Supervisor

_FIRST_LOOK_S = 0.05
_LOOK_WITHIN_S = 5.0


class Readiness:
    """One readiness hook at work.

    Args:
        spec: What it is.
        supervisor: Of the container that runs now.
        report: Called when its function raises.
        decided: Called once: whether the container is ready, or was given up.
    """

    def __init__(
        self,
        spec: ReadinessSpec,
        supervisor: Supervisor,
        report: Callable[[HookError], None],
        decided: Callable[[bool], None],
    ) -> None:
        self._spec = spec
        self._supervisor = supervisor
        self._report = report
        self._decided = decided
        self._probe: Probe | None = None if spec.probe.is_empty else make_probe(spec.probe, supervisor)
        self._give_up_at = time.monotonic() + spec.timeout_s
        self._timer = supervisor.loop.call_after(_FIRST_LOOK_S, self._look)

    def cancel(self) -> None:
        """Look no more."""
        self._timer.cancel()
        if self._probe is not None:
            self._probe.cancel()

    def _look(self) -> None:
        if self._probe is None:
            self._seen(False)
        else:
            self._probe.look(_LOOK_WITHIN_S, self._seen)

    def _seen(self, ok: bool) -> None:
        if self._ask_function(ok):
            self._decided(True)
        elif time.monotonic() >= self._give_up_at:
            self._supervisor.report(
                ContainerError(
                    f"was not ready within {self._spec.timeout_s:g} s",
                    where=self._spec.where,
                    subject=self._supervisor.spec.name,
                )
            )
            self._decided(False)
        else:
            self._timer = self._supervisor.loop.call_after(self._spec.interval_s, self._look)

    def _ask_function(self, ok: bool) -> bool:
        function = self._spec.function
        if function is None:
            return ok
        what = f'the readiness hook "{function_name(function)}"'
        left_s = max(1.0, self._give_up_at - time.monotonic())
        try:
            answer = call_function(
                function, self._supervisor.base, what, self._spec.where, more=(ok,), timeout_s=left_s
            )
        except HookError as error:
            self._report(error)
            return False
        return ok if answer is None else bool(answer)


class Health:
    """A health check at work.

    Args:
        spec: What it is.
        supervisor: Of the container that runs now.
        report: Called when a function of its raises.
    """

    def __init__(self, spec: HealthcheckSpec, supervisor: Supervisor, report: Callable[[HookError], None]) -> None:
        self._spec = spec
        self._supervisor = supervisor
        self._report = report
        self._failures = 0
        self._healthy = supervisor.state.health != "unhealthy"
        self._counts_from = time.monotonic() + spec.start_period_s
        self._probe: Probe | None = None if spec.probe.is_empty else make_probe(spec.probe, supervisor)
        self._timer: Timer = supervisor.loop.call_after(spec.interval_s, self._look)

    def cancel(self) -> None:
        """Look no more."""
        self._timer.cancel()
        if self._probe is not None:
            self._probe.cancel()

    def _look(self) -> None:
        if self._probe is None:
            self._seen(self._call(self._spec.function, "the health check"))
        else:
            self._probe.look(self._spec.timeout_s, self._seen)

    def _call(self, function: Any, what: str) -> bool:
        """Call a function of the user's; one that raises counts as a no."""
        spec = self._spec
        try:
            what = f'{what} "{function_name(function)}"'
            return bool(call_function(function, self._supervisor.base, what, spec.where, timeout_s=spec.timeout_s))
        except HookError as error:
            self._report(error)
            return False

    def _seen(self, ok: bool) -> None:
        self._timer = self._supervisor.loop.call_after(self._spec.interval_s, self._look)
        if ok:
            self._failures = 0
            if not self._healthy:
                self._healthy = True
                self._supervisor.note(health="ready")
                self._supervisor.tell("healthy")
        elif time.monotonic() >= self._counts_from:
            self._failures += 1
            if self._failures >= self._spec.retries and self._healthy:
                self._become_unhealthy()

    def _become_unhealthy(self) -> None:
        self._healthy = False
        self._supervisor.note(health="unhealthy")
        self._supervisor.tell("unhealthy", failures=self._failures)
        action = self._spec.action
        if callable(action):
            self._call(action, "the health check's action")
        elif action == "restart":
            self._supervisor.restart("the health check")
        elif action == "stop":
            self._supervisor.stop("the health check")
