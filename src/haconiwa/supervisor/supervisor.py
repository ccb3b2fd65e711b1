"""One container's supervisor: a process that starts it, calls its hooks while it lives, and clears up behind it."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError, HaconiwaError, HookError
from haconiwa.host.loop import Loop
from haconiwa.isolation import cgroups
from haconiwa.isolation.step import Site
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.hooks import run_hooks
from haconiwa.lifecycle.identity import NOBODY, boot_id, identify
from haconiwa.lifecycle.state import Claim, State, now, remove_pid_file
from haconiwa.spec.record import replace, to_plain
from haconiwa.supervisor import link as barn_link
from haconiwa.supervisor.base import Base
from haconiwa.supervisor.messages import INFO, WARNING, as_failure, flush, report, say
from haconiwa.supervisor.pid_file import write_pid_file
from haconiwa.supervisor.signals import HANDLED_SIGNALS, STOP_SIGNALS, Signals, stop_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.supervisor.control import Answer, Control, Peer, Request
    from haconiwa.supervisor.options import SupervisorOptions
    from haconiwa.supervisor.reload import Reloader
    from haconiwa.supervisor.restarts import Restarts
    from haconiwa.supervisor.watch import Watch


class Supervisor:
    """The life of one container.

    Args:
        spec: The container.
        steps: Its start.
        claim: On its name; the supervisor gives it back. None for one that adopts, which takes it itself.
        link: To the barn.
        options: How to work.

    Attributes:
        spec: The container.
        state: As last recorded.
        base: What its hooks receive.
        loop: On which everything waits while the container runs.
        container: The current run of it.
        watch: Over the current run; None before the first.
        options: How to work.
        stop_asked: Somebody wants it to end: it is not started again.
    """

    def __init__(
        self, spec: ContainerSpec, steps: list[Step], claim: Claim | None, link: socket, options: SupervisorOptions
    ) -> None:
        self.spec = spec
        self.base = Base(spec)
        self.loop = Loop()
        self.watch: Watch | None = None
        self.stop_asked = False
        self._told_to_stop = False
        self._steps = steps
        if claim is not None:
            self._claim = claim
        self._link = link
        self.options = options
        self._handled = {signal.signal_number(handler.signal) for handler in spec.signal_handlers}
        self._signals = Signals((*STOP_SIGNALS, *HANDLED_SIGNALS), stop_signals(daemon=options.daemon))
        self._control: Control | None = None
        self._reloader: Reloader | None = None
        self._restarts: Restarts | None = None
        self._has_run = False
        self._begin_run()
        self.state = State(
            name=spec.name,
            haco_file=options.haco_file,
            status="creating",
            supervisor=identify(os.getpid()),
            created_at=now(),
            boot_id=boot_id(),
            cgroups=cgroups.planned_paths(steps),  # before they exist, so that whoever clears up knows of them
            pid_file=spec.container_pid_file,
            config=to_plain(spec),
        )

    def _begin_run(self) -> None:
        """What one run of the container has for itself, also its base: hooks see each run from its beginning."""
        self._restart_asked = False
        self.base.begin_run()
        self._site = self._make_site()
        self.container = Container(self.spec, self._steps, self._site, 2 if self.options.trace else -1)

    def _make_site(self) -> Site:
        site = Site(self.spec, self.base)
        site.stdio_fds = self.options.stdio_fds
        site.log_relay_fd = self.options.log_relay_fd
        site.dies_with_supervisor = not self.options.daemon
        site.report = self.report
        site.tell = self.tell
        if self.options.terminal:
            site.terminal_socket = self._link
        return site

    def run(self) -> int:
        """Start the container and look after it until it has ended and nothing of it is left.

        Returns:
            The exit status: the container's, or 125 to 127 when it could not be started.
        """
        try:
            if self.options.adopts:
                self._adopt()
        except HaconiwaError as error:
            return self._fail(error)
        try:
            status = self._live(runs=self._has_run)
            while self._waits_to_restart(status):
                self._begin_run()
                status = self._live()
            return status
        finally:
            self._clear_up()

    def _waits_to_restart(self, status: int) -> bool:
        """Whether the container is to be started again; true only after the pause before that."""
        self.take_signals()  # one of them may have interrupted the start
        if self.stop_asked or not (self.spec.restart or self._restart_asked) or not self._has_run or not self.watch:
            return False
        if self._restarts is None:
            from haconiwa.supervisor.restarts import Restarts

            self._restarts = Restarts(self.spec.restart)
        delay_s = self._restarts.delay_s(status, self.watch.ran_s, asked=self._restart_asked)
        if delay_s is None:
            return False
        self.tell("restarting", delay_s=delay_s)
        self.base.status = "restarting"
        self.note(status="restarting", init=NOBODY, health="")
        due: list[bool] = []
        self.loop.call_after(delay_s, lambda: due.append(True))
        self.loop.run_until(lambda: bool(due) or self.stop_asked)
        return not self.stop_asked

    def use_spec(self, spec: ContainerSpec) -> None:
        """Take another configuration for what is to come; a later start of the container follows it."""
        self.spec = spec
        if self.options.plan:
            self._steps = self.options.plan(spec)

    def restart(self, by: str) -> None:
        """End the container and start it again, whatever its restart policy."""
        self._restart_asked = True
        if self.watch:
            self.watch.begin_stop(by)

    def _clear_up(self) -> None:
        """Leave nothing behind; what of it fails, if anything, is no reason to leave the rest."""
        try:
            self.container.clean_up()
        finally:
            try:
                if self.spec.container_pid_file:
                    remove_pid_file(self.spec.container_pid_file, os.getpid())
                self._report_leftovers()
                self.take_requests()
            finally:
                self._give_back_name()

    def _give_back_name(self) -> None:
        try:
            self._claim.release()
            self.tell("removed")
        finally:
            if self._control:
                self._control.close()

    def _live(self, *, runs: bool = False) -> int:
        """One run of the container, which may run already. It has ended before the hooks of the end are called."""
        try:
            if not runs:
                self._start()
            status = self._look_after()
        except Exception as error:
            self.container.end()
            status = self._fail(as_failure(error, self.spec.name, debug=self.options.trace))
        self._end(status)
        return status

    def _look_after(self) -> int:
        """Watch the container until it has ended."""
        try:
            status = self.watch.run_until_end() if self.watch else 0
        except Exception:
            self.stop_asked = True  # the loop still has what belongs to this run, so there is no other one
            raise
        if self._reloader:
            self._reloader.cancel()
        self._say(f"Container({self.container.pid}) finish detected: {self.container.describe_exit()}")
        word = "exited with failure" if status else "successfully exited"
        self._say(f"Container {word}: {self.container.describe_exit()}")
        return status

    def _adopt(self) -> None:
        """Take over what runs, as it was recorded. When that fails nothing is cleaned up, and it stays an orphan."""
        from haconiwa.lifecycle import adoption

        self._claim = Claim(self.spec.name, adopts=True)
        stale = self._claim.stale
        pidfd = adoption.open_orphan(stale, self.spec.name, self.options.haco_file)
        assert stale is not None  # noqa: S101 - else it was refused
        spec = adoption.running_spec(self.spec, stale)
        steps = adoption.plan_adoption(spec, stale)
        self.container = Container(spec, steps, self._site, 2 if self.options.trace else -1)
        self.container.adopt(stale.init, pidfd)
        self.state = replace(self.state, **adoption.what_stays(self.spec, stale))
        self._introduce("running")
        if self.spec.container_pid_file:
            write_pid_file(self.spec.container_pid_file)
        if stale.pid_file and stale.pid_file != self.spec.container_pid_file:
            remove_pid_file(stale.pid_file, stale.supervisor.pid)
        self.record(status="running")
        self._has_run = True
        self._say(f"Container adopted and going to wait: pid={self.container.pid}")
        barn_link.send_up(self._link, self.container.pid)
        self.tell("adopted", pid=self.container.pid)
        if not self.spec.readiness or self.state.health == "ready":
            barn_link.send_readiness(self._link, True)

    def _start(self) -> None:
        self.record(status="creating", init=NOBODY)
        if self.spec.container_pid_file:
            write_pid_file(self.spec.container_pid_file, self.spec.sources.get("container_pid_file"))
        self.container.start(wake_fd=self._signals.fd, is_interrupted=self._signals.ask_to_stop, on_cloned=self._cloned)
        self.base.status = "running"
        self.record(status="running")
        self._say(f"Container fork success and going to wait: pid={self.container.pid}")
        self.tell("started", pid=self.container.pid)
        self.container.run_started_hooks()
        self._has_run = True
        barn_link.send_up(self._link, self.container.pid)
        if not self.spec.readiness:
            barn_link.send_readiness(self._link, True)

    def set_ready(self, ready: bool) -> None:
        """The container is ready, or will never be: others of its barn may wait for that."""
        if ready:
            self.note(health="ready")
        self.tell("ready" if ready else "not_ready")
        barn_link.send_readiness(self._link, ready)

    def _cloned(self) -> None:
        """The process exists: its hooks on this side may know it, and others must be able to find it."""
        self.record(status="created", init=identify(self.container.pid))
        self._introduce("created")
        self.tell("created", pid=self.container.pid, haco_file=self.options.haco_file)

    def _introduce(self, status: str) -> None:
        """Let hooks know the container, and begin to listen."""
        self.base.status = status
        self.base.pid = self.container.pid
        self.base._pidfd = self.container.pidfd
        self.base._cgroup_paths = self._site.cgroup_paths
        self.base._get_state = lambda: self.state
        # Loads while the child is being built.
        from haconiwa.supervisor.control import Control
        from haconiwa.supervisor.watch import Watch

        self.watch = watch = Watch(self)
        self.base._note_signal = lambda number: watch.note_signal(number, "a hook")
        if self._control is None:
            self._control = Control(self.loop, self._claim.folder, self._answer)
            self.loop.watch(self._signals.fd, lambda _events: self.take_signals())
            self.loop.watch(self._link.fileno(), lambda _events: self._hear_barn())

    def tell(self, event: str, **details: object) -> None:
        """Record an event of the container's, and send it to those who listen."""
        from haconiwa.lifecycle.events import append_event

        record = append_event(self.spec.name, event, **details)
        if self._control:
            self._control.tell(record)

    def record(self, **changes: object) -> None:
        """Write the state with some changes, for others to read."""
        self.state = replace(self.state, **changes)
        self._claim.record(self.state)

    def note(self, **changes: object) -> None:
        """As `record`, of a container that goes on though its state cannot be written, as with a full disk.

        Raises:
            ContainerError: The folder is gone, and with it the name: anybody could take that.
        """
        try:
            self.record(**changes)
        except ContainerError as error:
            if error.errno == errno.ENOENT:
                raise
            self.report(error)

    def take_requests(self) -> None:
        """Act on what has been asked over the control socket so far."""
        if self._control:
            self._control.drain()

    def _answer(self, request: Request, peer: Peer) -> Answer:
        from haconiwa.supervisor.requests import answer

        return answer(self, request, peer)

    def take_signals(self) -> None:
        """Act on the signals that came."""
        for number in self._signals.take():
            if number in self._signals.stops:
                self.stop(f"{signal.signal_name(number)} to the supervisor", insists=self._told_to_stop)
                self._told_to_stop = True
            elif number == signal.SIGHUP:
                self._reload()
            elif number in self._handled and self.watch:
                self.watch.call_handlers(number)

    def _reload(self) -> None:
        if self.options.load is None:
            return
        if self._reloader is None:
            from haconiwa.supervisor.reload import Reloader

            self._reloader = Reloader(self)
        self._reloader.ask()

    def stop(self, by: str, timeout_s: float | None = None, *, patient: bool = True, insists: bool = False) -> None:
        """End the container and do not start it again.

        Args:
            by: Who wants it, for the record.
            timeout_s: Between TERM and KILL; None for the usual time.
            patient: As for `Watch.begin_stop`.
            insists: As for `Watch.begin_stop`.
        """
        self.stop_asked = True
        if self.watch:
            self.watch.begin_stop(by, timeout_s, patient=patient, insists=insists)

    def _hear_barn(self) -> None:
        """It insists, or is gone: a foreground container does not outlive the barn that holds its terminal."""
        if barn_link.receive(self._link)[0] == barn_link.INSIST:
            self.take_signals()  # the one that it insists on
            self.stop("the barn", insists=True)
            return
        self.loop.unwatch(self._link.fileno())
        if not self.options.daemon:
            self.stop("the end of the barn", timeout_s=3.0, patient=False)

    def _end(self, status: int) -> None:
        """The hooks of the end, once each, whatever the one before did; then everything of this run goes."""
        self.base.status = "stopped"
        self.base.exit_status = None if self.container.end_unknown else status
        for point in ("teardown_container", "after_failure") if status else ("teardown_container",):
            try:
                run_hooks(self.spec.hooks_at(point), self.base, self.report)
            except HookError as error:
                self.report(error)
        self.container.clean_up()

    def _fail(self, error: HaconiwaError) -> int:
        report(error)
        barn_link.send_failure(self._link, error)
        self.tell("failed", error=str(error), exit_status=error.exit_status, haco_file=self.options.haco_file)
        return error.exit_status

    def report(self, error: HaconiwaError) -> None:
        """Say what went wrong and does not end the container; what did in the container's process comes here too."""
        error.subject = error.subject or self.spec.name
        report(error)
        if isinstance(error, HookError):
            self.tell("hook_failed", error=str(error))

    def _say(self, text: str, priority: int = INFO) -> None:
        """A message of ours, where the barn has led stdout: the terminal, stderr, or the supervisor's log."""
        if self.options.quiet and (priority != WARNING or self.spec.log_level != "warning"):
            return
        if self.options.terminal:
            flush()
            barn_link.send_message(self._link, text)
        else:
            say(text, priority)

    def _report_leftovers(self) -> None:
        for path in self._site.cgroup_paths:
            if os.path.isdir(path):
                self._say(f'{self.spec.name}: left the cgroup "{path}": something else put processes into it', WARNING)
