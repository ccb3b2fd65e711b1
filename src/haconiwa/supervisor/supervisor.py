"""One container's supervisor: a process that starts it, calls its hooks while it lives, and clears up behind it."""

from __future__ import annotations

import os
import sys

from haconiwa.errors import ContainerError, HaconiwaError, HookError
from haconiwa.isolation import cgroups
from haconiwa.isolation.step import Site
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.hooks import run_hook
from haconiwa.lifecycle.identity import boot_id, identify
from haconiwa.lifecycle.state import Claim, State, now, remove_pid_file
from haconiwa.spec.record import Record, replace, to_plain
from haconiwa.supervisor import link as barn_link
from haconiwa.supervisor.base import Base
from haconiwa.supervisor.messages import report
from haconiwa.supervisor.pid_file import write_pid_file
from haconiwa.supervisor.signals import STOP_SIGNALS, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.supervisor.watch import Watch


class SupervisorOptions(Record):
    """How a supervisor was asked to work.

    Attributes:
        haco_file: Real path of the file.
        daemon: The container outlives its caller, and its supervisor if need be.
        terminal: The program gets a terminal, relayed by the barn.
        stdio_fds: What the program gets as 0, 1 and 2 otherwise.
        quiet: Print no messages of ours.
        trace: Show every step.
    """

    haco_file: str
    daemon: bool = False
    terminal: bool = False
    stdio_fds: tuple[int, int, int] = (0, 1, 2)
    quiet: bool = False
    trace: bool = False


class Supervisor:
    """The life of one container.

    Args:
        spec: The container.
        steps: Its start.
        link: To the barn.
        options: How to work.
    """

    def __init__(self, spec: ContainerSpec, steps: list[Step], link: socket, options: SupervisorOptions) -> None:
        self._spec = spec
        self._link = link
        self._options = options
        handled = {signal.signal_number(handler.signal) for handler in spec.signal_handlers}
        self._signals = Signals((*STOP_SIGNALS, *handled))
        self._base = Base(spec)
        self._site = self._make_site()
        self._container = Container(spec, steps, self._site, 2 if options.trace else -1)
        self._watch: Watch | None = None
        self._state = State(
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

    def _make_site(self) -> Site:
        site = Site(self._spec, self._base)
        site.stdio_fds = self._options.stdio_fds
        site.dies_with_supervisor = not self._options.daemon
        site.report = report
        if self._options.terminal:
            site.terminal_socket = self._link
        return site

    def run(self) -> int:
        """Start the container and look after it until it has ended and nothing of it is left.

        Returns:
            The exit status: the container's, or 125 to 127 when it could not be started.
        """
        try:
            claim = Claim(self._spec.name)
        except HaconiwaError as error:
            return self._fail(error)
        try:
            return self._live(claim)
        finally:
            self._container.clean_up()
            if self._spec.container_pid_file:
                remove_pid_file(self._spec.container_pid_file, os.getpid())
            self._report_leftovers()
            claim.release()

    def _live(self, claim: Claim) -> int:
        try:
            self._start(claim)
        except HaconiwaError as error:
            status = self._fail(error)
        else:
            status = self._watch.run_until_end() if self._watch else 0
            self._say(f"Container({self._container.pid}) finish detected: {self._container.describe_exit()}")
            word = "exited with failure" if status else "successfully exited"
            self._say(f"Container {word}: {self._container.describe_exit()}")
        self._end(status)
        return status

    def _start(self, claim: Claim) -> None:
        self._record(claim, status="creating")
        if self._spec.container_pid_file:
            write_pid_file(self._spec.container_pid_file)
        self._container.start(wake_fd=self._signals.fd, on_cloned=lambda: self._cloned(claim))
        self._base.status = "running"
        self._record(claim, status="running")
        self._say(f"Container fork success and going to wait: pid={self._container.pid}")
        barn_link.send_up(self._link, self._container.pid)
        self._container.run_started_hooks()

    def _cloned(self, claim: Claim) -> None:
        """The process exists: its hooks on this side may know it, and others must be able to find it."""
        self._base.status = "created"
        self._base.pid = self._container.pid
        self._base._pidfd = self._container.pidfd
        self._base.cgroup = self._site.cgroup_paths
        self._record(claim, status="created", init=identify(self._container.pid))
        from haconiwa.supervisor.watch import Watch  # loads while the child is being built

        link = None if self._options.daemon else self._link
        self._watch = Watch(self._spec, self._container, self._base, self._signals, link)

    def _record(self, claim: Claim, **changes: object) -> None:
        self._state = replace(self._state, **changes)
        try:
            claim.record(self._state)
        except OSError as error:
            raise ContainerError(
                "cannot record its state", why=error.strerror or str(error), subject=self._spec.name
            ) from error

    def _end(self, status: int) -> None:
        """The hooks of the end, once each, whatever the one before did."""
        self._base.status = "stopped"
        self._base.exit_status = status
        for point in ("teardown_container", "after_failure") if status else ("teardown_container",):
            for hook in self._spec.hooks_at(point):
                try:
                    run_hook(hook, self._base)
                except HookError as error:
                    report(error)
                    if hook.on_error == "abort":
                        break

    def _fail(self, error: HaconiwaError) -> int:
        report(error)
        barn_link.send_failure(self._link, error)
        return error.exit_status

    def _say(self, text: str) -> None:
        """A message of ours, where the barn has led stdout: the terminal, stderr, or the supervisor's log."""
        if self._options.quiet:
            return
        sys.stdout.flush()
        if self._options.terminal:
            barn_link.send_message(self._link, text)
        else:
            os.write(1, f"{text}\n".encode("utf-8", "surrogateescape"))

    def _report_leftovers(self) -> None:
        for path in self._site.cgroup_paths:
            if os.path.isdir(path):
                self._say(f'{self._spec.name}: left the cgroup "{path}": something else put processes into it')
