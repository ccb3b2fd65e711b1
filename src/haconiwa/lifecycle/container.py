"""One container as the process holds it that starts it: on its way up, running, ended."""

from __future__ import annotations

import os
import select
import sys
import time
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SOCK_SEQPACKET, socketpair

from haconiwa.errors import EXIT_FAILURE, ContainerError, HaconiwaError
from haconiwa.isolation.groups import kill_groups, oom_kills
from haconiwa.isolation.seccomp.filters import LISTENER
from haconiwa.isolation.step import BIRTH, CHILD, INSIDE, PARENT, RUNNING, SUPERVISOR, Site, Step
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.identity import Identity, signal_process, wait_for_end
from haconiwa.lifecycle.init import run_child
from haconiwa.lifecycle.program import EXECUTE, READY
from haconiwa.lifecycle.sync import FAILED, MESSAGE_SIZE, WENT_WRONG, decode_failure, place_of, step_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from haconiwa.spec.model import ContainerSpec

SIGNAL_BASE = 128
_FD_SIZE = 4
_MESSAGE = MESSAGE_SIZE, CMSG_SPACE(_FD_SIZE), MSG_CMSG_CLOEXEC
_GONE = b"?"
"""For the message of a process that ended in the middle of the conversation."""
_KILLED_WITHIN_S = 0.5


class StartInterrupted(ContainerError):
    """The start was given up because the supervisor was told to stop."""


class Container:
    """A container, from its list of steps to its end.

    Attributes:
        pid: The container's process as seen here; 0 before the clone.
        pidfd: Readable when the process has ended; -1 before the clone.
        exit_status: 0-255, 128+n when signal n ended it; None while it runs.
        exit_signal: The signal that ended it; 0 for none.
        end_unknown: It has ended, and nobody could say how: `exit_status` stands for a failure then.
    """

    def __init__(self, spec: ContainerSpec, steps: list[Step], site: Site, trace_fd: int = -1) -> None:
        self.spec = spec
        self.site = site
        self.pid = 0
        self.pidfd = -1
        self.exit_status: int | None = None
        self.exit_signal = 0
        self.end_unknown = False
        self._adopted: Identity | None = None
        self._steps = steps
        self._done: list[Step] = []
        self._trace_fd = trace_fd
        self._began = time.monotonic()
        self._channel: socket | None = None

    def start(
        self,
        *,
        wake_fd: int = -1,
        is_interrupted: Callable[[], bool] | None = None,
        on_cloned: Callable[[], None] | None = None,
    ) -> None:
        """Walk the plan until the program runs.

        Args:
            wake_fd: When it becomes readable the start may have to be given up.
            is_interrupted: Called then; whether it has to. It leaves `wake_fd` unreadable.
            on_cloned: Called once `pid` is known and before the program may run.

        Raises:
            HaconiwaError: A step failed; the process is gone, and `clean_up` is left to the caller.
        """
        self._run_steps(SUPERVISOR)
        sys.stdout.flush()
        sys.stderr.flush()
        parent_end, child_end = socketpair(AF_UNIX, SOCK_SEQPACKET)
        self._channel = parent_end
        self.site.channel_fd = parent_end.fileno()
        try:
            self._clone(child_end.fileno())
            child_end.close()
            if on_cloned:
                on_cloned()
            self._run_steps_beside_child()
            self._expect(READY, wake_fd, is_interrupted)
            self._release()
            self._expect(b"", wake_fd, is_interrupted)
        except BaseException:
            self.end()
            raise
        finally:
            child_end.close()
            parent_end.close()
            self._channel = None
            self.site.channel_fd = -1

    def adopt(self, init: Identity, pidfd: int) -> None:
        """Go on with a process that another has started: the plan is what there is to take over of it.

        Args:
            init: Of this container.
            pidfd: Of it; ours from now on.

        Raises:
            HaconiwaError: A step failed; the process goes on as it did, and nothing may be cleaned up.
        """
        self._adopted = init
        self.pid, self.pidfd, self.site.child_pid = init.pid, pidfd, init.pid
        self._run_steps(SUPERVISOR)
        self._run_steps(PARENT)

    def run_started_hooks(self) -> None:
        """Walk the last part of the plan, once the caller has recorded that the program runs.

        Raises:
            HaconiwaError: A step failed; the process is gone, as after `start`.
        """
        try:
            self._run_steps(RUNNING)
        except BaseException:
            self.end()
            raise

    def _clone(self, child_channel_fd: int) -> None:
        """Make the container's process. Signals stay blocked in it until it has reset them."""
        step = next(step for step in self._steps if step.place == BIRTH)
        self._trace(step)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            try:
                step.execute(self.site)
            except OSError as error:
                raise step_error(step, error, self.spec.name) from None
            if self.site.child_pid == 0:
                os.close(self.site.channel_fd)  # while the child held it too, the supervisor's death would not show
                self.site.channel_fd = child_channel_fd
                run_child(self._inner_steps, self.site, self._trace)
            self.pid, self.pidfd = self.site.child_pid, self.site.child_pidfd
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _run_steps(self, place: str) -> None:
        for step in self._steps:
            if step.place != place:
                continue
            self._trace(step)
            self._done.append(step)
            try:
                step.execute(self.site)
            except OSError as error:
                raise step_error(step, error, self.spec.name) from error
            except HaconiwaError as error:
                error.subject = error.subject or self.spec.name
                raise place_of(error, step.where) from None

    def _run_steps_beside_child(self) -> None:
        """What fails here because the child has died is not the reason: that is what the child says."""
        try:
            self._run_steps(PARENT)
        except HaconiwaError:
            poll = select.poll()
            poll.register(self.site.channel_fd, select.POLLIN)
            while poll.poll(0) and (message := self._next_message(-1, None)):
                self._raise_failure(message)
            raise

    def _raise_failure(self, message: bytes) -> None:
        if message.startswith(FAILED):
            raise decode_failure(message, self._inner_steps, self.spec.name) from None

    def _expect(self, expected: bytes, wake_fd: int, is_interrupted: Callable[[], bool] | None) -> None:
        """Wait for a message of the child's; the empty one is the end of the connection."""
        message = self._next_message(wake_fd, is_interrupted)
        if message == LISTENER:
            message = self._next_message(wake_fd, is_interrupted)
        self._raise_failure(message)
        if message != expected:
            raise self._early_death()

    def _release(self) -> None:
        """Let the program run, now that all is ready and recorded."""
        try:
            os.write(self.site.channel_fd, EXECUTE)
        except BrokenPipeError:
            raise self._early_death() from None

    def _early_death(self) -> ContainerError:
        """What to say of a process that has ended, or is about to, before its program ran."""
        self.reap()
        starved = oom_kills(self.site.cgroup_paths) > 0
        return ContainerError(
            "the container's process died before its program ran",
            why=f"{self.describe_exit()}{', since it may not use more memory' if starved else ''}",
            subject=self.spec.name,
            hint="its memory limit leaves no room for a start: raise it" if starved else "",
        )

    def _next_message(self, wake_fd: int, is_interrupted: Callable[[], bool] | None) -> bytes:
        """The next message, once all was reported that went wrong before it."""
        while True:
            message = self._receive(wake_fd, is_interrupted)
            if not message.startswith(WENT_WRONG):
                return message
            self.site.report(decode_failure(message, self._inner_steps, self.spec.name))

    @property
    def _inner_steps(self) -> list[Step]:
        """What the container's process does."""
        return [step for step in self._steps if step.place in (CHILD, INSIDE)]

    def _receive(self, wake_fd: int, is_interrupted: Callable[[], bool] | None) -> bytes:
        poll = select.poll()
        poll.register(self.site.channel_fd, select.POLLIN)
        if wake_fd >= 0:
            poll.register(wake_fd, select.POLLIN)
        while self.site.channel_fd not in [fd for fd, _event in poll.poll()]:
            if is_interrupted is None or is_interrupted():
                raise StartInterrupted("the start was interrupted", subject=self.spec.name)
        assert self._channel is not None  # noqa: S101 - its descriptor is what was polled
        try:
            message, passed, _flags, _address = self._channel.recvmsg(*_MESSAGE)
        except ConnectionResetError:  # it ended without reading what it was told; what it said is still there
            return self._channel.recv(MESSAGE_SIZE) or _GONE
        for _level, _kind, fd_bytes in passed:
            self.site.listener_fd = int.from_bytes(fd_bytes[:_FD_SIZE], sys.byteorder)
        return message

    def end(self) -> None:
        """Kill what runs and wait for its end; nothing is done when it has ended already."""
        if self.pidfd >= 0 and self.exit_status is None:
            while not self.kill():
                pass  # one that takes long to end, or is held by more and more others inside
            self.reap()

    def abandon(self) -> None:
        """Wait for its end no more, which others inside do not let come."""
        os.close(self.pidfd)
        self.pidfd = -1
        self.exit_status = EXIT_FAILURE

    def kill(self) -> bool:
        """Kill everything inside. A pid namespace ends with its first process, without touching what is not in it.

        Returns:
            Whether the first process has ended, or does so within half a second.
        """
        runs = self.exit_status is None and self.pidfd >= 0
        if runs:
            signal_process(self.pidfd, signal.SIGKILL)  # one that was adopted may be reaped by its parent any time
        if "pid" not in self.spec.namespaces:
            kill_groups(self.site.cgroup_paths)
            return not runs or wait_for_end(self.pidfd, _KILLED_WITHIN_S)
        from haconiwa.lifecycle.held import wait_for_end_of_all

        return not runs or wait_for_end_of_all(self.pidfd, self.pid, _KILLED_WITHIN_S)

    def reap(self) -> int:
        """Wait for the process to end.

        Returns:
            The exit status, also kept in `exit_status`.
        """
        if self.exit_status is None:
            status = self._wait()
            os.close(self.pidfd)
            self.pidfd = -1
            if status is None:
                self.exit_status, self.end_unknown = EXIT_FAILURE, True
            else:
                self.exit_signal = max(0, -status)
                self.exit_status = SIGNAL_BASE + self.exit_signal if self.exit_signal else status
        return self.exit_status

    def _wait(self) -> int | None:
        """How the process ends: its exit status, or a signal below 0; None when nobody can say that."""
        if self._adopted is not None:
            from haconiwa.lifecycle.ended import wait_status

            status = wait_status(self._adopted, self.pidfd)
            return None if status is None else os.waitstatus_to_exitcode(status)
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        assert result is not None  # noqa: S101 - only WNOHANG answers None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def describe_exit(self) -> str:
        """How the program ended, as in our messages: ``exited(0)`` or ``signaled(9)``."""
        if self.end_unknown:
            return "ended, and how is not known: it was adopted"
        by_seccomp = ", by seccomp" if self.exit_signal == signal.SIGSYS and self.spec.seccomp.filters_calls else ""
        return f"signaled({self.exit_signal}){by_seccomp}" if self.exit_signal else f"exited({self.exit_status})"

    def clean_up(self) -> None:
        """End what still runs, then undo every step that was begun, in reverse.

        What else is in the groups without a pid namespace is killed. Whoever starts a container calls this at its end,
        whatever end that is, and needs nothing else to leave nothing behind.

        Raises:
            Exception: The first one that a step's `undo` has raised; all others were undone nevertheless.
        """
        try:
            self.end()
            if self.site.cgroup_paths and "pid" not in self.spec.namespaces:
                kill_groups(self.site.cgroup_paths)
        finally:
            self._undo_all()

    def _undo_all(self) -> None:
        first: Exception | None = None
        while self._done:
            try:
                self._done.pop().undo(self.site)
            except Exception as error:
                first = first or error
        fds = (*self.site.trees.values(), *self.site.tasks_fds, self.site.cgroup_fd, self.site.listener_fd)
        self.site.trees.clear()
        self.site.tasks_fds.clear()
        self.site.cgroup_fd = self.site.listener_fd = -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        if first is not None:
            raise first

    def _trace(self, step: Step) -> None:
        if self._trace_fd >= 0:
            elapsed_ms = (time.monotonic() - self._began) * 1000
            os.write(self._trace_fd, f"debug: {elapsed_ms:7.2f} ms  {step.place:10}  {step.describe()}\n".encode())
