"""What a supervisor does while its container runs: wait for its end, call timers and handlers, stop it when told."""

from __future__ import annotations

from haconiwa.errors import HookError
from haconiwa.host.loop import Loop, Timer
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.hooks import call_function, function_name
from haconiwa.lifecycle.stop import heeds
from haconiwa.supervisor.memory import collect_from_now_on
from haconiwa.supervisor.messages import report
from haconiwa.supervisor.signals import STOP_SIGNALS
from haconiwa.supervisor.timers import AsyncHook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from haconiwa.lifecycle.container import Container
    from haconiwa.spec.model import ContainerSpec, SignalHandlerSpec
    from haconiwa.supervisor.base import Base
    from haconiwa.supervisor.signals import Signals

_STOP_TIMEOUT_S = 10.0


class Watch:
    """The watch over one running container.

    Args:
        spec: The container.
        container: Running.
        base: What its hooks receive.
        signals: Of this process.
        link: To a barn that it must not outlive; None for a daemon.
    """

    def __init__(
        self, spec: ContainerSpec, container: Container, base: Base, signals: Signals, link: socket | None
    ) -> None:
        self._spec = spec
        self._container = container
        self._base = base
        self._signals = signals
        self._link = link
        self._loop = Loop()
        self._stopping: Timer | None = None

    def run_until_end(self) -> int:
        """Watch until the container has ended.

        Returns:
            Its exit status.
        """
        collect_from_now_on()
        self._loop.watch(self._container.pidfd, lambda _events: self._ended())
        self._loop.watch(self._signals.fd, lambda _events: self._take_signals())
        if self._link is not None:
            self._loop.watch(self._link.fileno(), lambda _events: self._barn_is_gone())
        for timer in self._spec.timers:
            AsyncHook(timer, self._base, self._loop, report)
        self._base._on_stop(self._begin_stop)
        self._take_signals()  # what came during the start
        self._loop.run_until(lambda: self._container.exit_status is not None)
        return self._container.exit_status or 0

    def _ended(self) -> None:
        self._loop.unwatch(self._container.pidfd)
        self._base._pidfd = -1
        self._container.reap()

    def _barn_is_gone(self) -> None:
        """A foreground container does not outlive the barn that holds its terminal."""
        assert self._link is not None  # noqa: S101 - it is what was watched
        self._loop.unwatch(self._link.fileno())
        self._begin_stop()

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGHUP and self._link is None:
                continue
            if number in STOP_SIGNALS:
                self._begin_stop()
            for handler in self._spec.signal_handlers:
                if signal.signal_number(handler.signal) == number:
                    self._call_handler(handler)

    def _call_handler(self, handler: SignalHandlerSpec) -> None:
        what = f'the {handler.signal} handler "{function_name(handler.function)}"'
        try:
            call_function(handler.function, self._base, what, handler.where)
        except HookError as error:
            report(error)

    def _begin_stop(self) -> None:
        """TERM, and KILL after a while; KILL at once when asked a second time or when TERM could have no effect."""
        if self._container.exit_status is not None or self._container.pidfd < 0:
            return
        futile = "pid" in self._spec.namespaces and not heeds(self._container.pid, signal.SIGTERM)
        if self._stopping or futile:
            self._container.kill()
            return
        self._stopping = self._loop.call_after(_STOP_TIMEOUT_S, self._container.kill)
        signal.pidfd_send_signal(self._container.pidfd, signal.SIGTERM)
