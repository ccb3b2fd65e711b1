"""One supervisor as its barn sees it."""

from __future__ import annotations

import os

from haconiwa.errors import EXIT_FAILURE, ContainerError
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.hooks import RESTORED_AFTER_HOOKS
from haconiwa.lifecycle.state import Claim
from haconiwa.spec.record import replace
from haconiwa.supervisor import link as barn_link
from haconiwa.supervisor.link import ENDED, FAILED, MESSAGE, NEVER_READY, READY, UP, make_link, send_insist
from haconiwa.supervisor.messages import as_failure, flush, report, speak_for, use_log
from haconiwa.supervisor.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from haconiwa.errors import HaconiwaError
    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.supervisor.options import SupervisorOptions


class Member:
    """A supervisor process.

    Attributes:
        name: Its container's.
        pid: The supervisor's own.
        pidfd: Readable when it has ended; -1 before the fork and after.
        link: The barn's end of the connection.
        container_pid: The container's process once it runs and the hooks for that are done.
        given_up: It will not be started.
        start_failed: Its start has failed, and with it that of the whole file.
        ready: It was ready once.
        never_ready: It was given up waiting for that.
        messages: What it wants to be shown, until somebody has done that.
        failure: The message for the user when the start failed.
        exit_status: Once it has ended.
        exit_signal: The signal that ended the supervisor itself; 0 for none.
        steps: Its start.
        claim: On its name, until its supervisor has it.
        died: It ended without saying so, by a signal or by os._exit in a hook, and has not cleared up.
        last_words: What is to be said of that.
    """

    def __init__(self, spec: ContainerSpec, plan: Callable[[ContainerSpec], list[Step]]) -> None:
        self.spec = spec
        self.name = spec.name
        self.pid = 0
        self.pidfd = -1
        self.link: socket | None = None
        self.container_pid = 0
        self.given_up = False
        self.start_failed = False
        self.ready = False
        self.never_ready = False
        self.messages: list[str] = []
        self.failure: list[str] = []
        self.exit_status: int | None = None
        self.exit_signal = 0
        self.died = False
        self.last_words: list[str] = []
        self._said_status = 0
        self._ended = False
        self.claim: Claim | None = None
        self._plan = plan
        self.steps = plan(spec)

    @property
    def is_waiting(self) -> bool:
        """Its supervisor has yet to be started."""
        return self.pid == 0 and not self.given_up

    @property
    def is_alive(self) -> bool:
        """Its supervisor runs or will."""
        return self.pidfd >= 0 or self.is_waiting

    @property
    def fds(self) -> list[int]:
        """The descriptors that the barn has for it."""
        held = [holder.fileno() for holder in (self.link, self.claim) if holder is not None]
        return held + ([self.pidfd] if self.pidfd >= 0 else [])

    @property
    def failure_told(self) -> bool:
        """Its supervisor has said that the start failed and is about to end; a signal would only disturb its hooks."""
        return bool(self.failure) and not self.container_pid

    def take_name(self) -> None:
        """Be the one who starts a container of this name.

        Raises:
            ContainerError: Another one is.
            HostError: The host has no place for the record of it.
        """
        try:
            self.claim = Claim(self.name)
        except OSError as error:
            raise as_failure(error, self.name) from error

    def leave_name(self) -> None:
        """Let a forked process go on with the name alone."""
        claim, self.claim = self.claim, None
        if claim is not None:
            claim.leave()

    def give_up(self, failure: HaconiwaError) -> None:
        """Never start the supervisor, for this reason."""
        self.given_up = True
        self.failure = failure.lines()
        self.exit_status = failure.exit_status

    def fork(self, options: SupervisorOptions, output_fds: tuple[int, int], barn_fds: list[int]) -> None:
        """Start the supervisor, which takes over the claim on the name; to adopt it claims it itself.

        Args:
            options: How it works.
            output_fds: What becomes its stdout and stderr; its stdin is /dev/null.
            barn_fds: Descriptors that only the barn may hold, so that their other ends see when it is gone.
        """
        self.link, supervisor_end = make_link()
        # until the supervisor has its own handlers, a signal meant for it must wait
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                for fd in (self.link.fileno(), *barn_fds):
                    os.close(fd)
                supervisor_options = replace(options, plan=self._plan)
                _run_supervisor(self.spec, self.steps, self.claim, supervisor_end, supervisor_options, output_fds)
            self.leave_name()
        except OSError:
            self.link.close()
            self.link = None
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            supervisor_end.close()
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def receive(self) -> int:
        """Take a message in.

        Returns:
            A terminal's master if it carried one, else -1; -2 at the end of file.
        """
        assert self.link is not None  # noqa: S101 - only called once forked
        kind, rest, fd = barn_link.receive(self.link)
        if kind == UP:
            self.container_pid = int(rest)
            self.failure, self.exit_status = [], None  # of a start before this one
        elif kind == READY:
            self.ready = True
        elif kind == NEVER_READY:
            self.never_ready = True
        elif kind == MESSAGE:
            self.messages.append(rest.decode("utf-8", "surrogateescape"))
        elif kind == ENDED:
            self._ended = True
        elif kind == FAILED:
            status, *lines = rest.decode("utf-8", "surrogateescape").split("\n")
            self.failure = lines
            self.exit_status = int(status)
        return fd if kind else -2

    def stop(self, *, again: bool = False) -> None:
        """Tell the supervisor to end its container, or again, and then to do so at once."""
        if again and self.link is not None:
            send_insist(self.link)
        elif self.pidfd >= 0:
            signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)

    def reload(self) -> None:
        """Tell the supervisor of a daemon to load the haco file again."""
        if self.pidfd >= 0:
            signal.pidfd_send_signal(self.pidfd, signal.SIGHUP)

    def fail_unready(self, waiting: list[Member]) -> None:
        """It never got ready, and that is waited for: by these, or by whoever has asked for the start."""
        self.start_failed = True
        why = "did not get ready in time" if self.never_ready else "has ended before it was ready"
        lines = [f'error: {other.name}: was not started: it comes after "{self.name}"' for other in waiting]
        self.failure = [*(self.failure or [f"error: {self.name}: {why}"]), *lines]

    def clear_up(self, *, daemon: bool) -> None:
        """In place of a supervisor that died: end what it looked after, unless that may live on as an orphan."""
        from haconiwa.lifecycle.recovery import end_abandoned

        if not (self.container_pid and daemon):
            end_abandoned(self.name, self.pid)

    def reap(self) -> None:
        """Take the exit status of a supervisor that has ended."""
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        assert result is not None  # noqa: S101 - only WNOHANG answers None
        self.died = not self._ended
        self.exit_signal = 0 if result.si_code == os.CLD_EXITED else result.si_status
        self._said_status = result.si_status
        self.exit_status = EXIT_FAILURE if self.died else result.si_status
        if self.died and (self.exit_signal or not self.failure):
            hint = "" if self.exit_signal else "os._exit() in a hook ends it, and so may closing descriptors of its own"
            death = ContainerError("its supervisor died", why=self.describe_exit(), hint=hint, subject=self.name)
            self.last_words = death.lines()
            self.failure += self.last_words
        os.close(self.pidfd)
        self.pidfd = -1

    def describe_exit(self) -> str:
        """How the supervisor ended, as in our messages."""
        return f"signaled({self.exit_signal})" if self.exit_signal else f"exited({self._said_status})"


def take_names(members: list[Member]) -> None:
    """Take the names of all of them: whoever has them starts, and nobody else calls a hook.

    What was taken is given back by the caller, whatever happens.

    Raises:
        ContainerError: One is in use.
        HostError: The host has no place for the record of it.
    """
    # a signal that ends this process must find every name where it is given back
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for member in members:
            member.take_name()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def give_back_names(members: list[Member]) -> None:
    """Give back the names of those that have got no supervisor to do so."""
    for member in members:
        claim, member.claim = member.claim, None
        if claim is not None:
            claim.release()


def _keep_log(name: str) -> None:
    """Keep the log that this supervisor and its hooks print to from growing without end."""
    from haconiwa.supervisor.own_log import OwnLog

    use_log(OwnLog(name, puts_aside=True))
    RESTORED_AFTER_HOOKS.append(flush)


def _run_supervisor(
    spec: ContainerSpec,
    steps: list[Step],
    claim: Claim | None,
    link: socket,
    options: SupervisorOptions,
    output_fds: tuple[int, int],
) -> None:
    """The supervisor's process from the fork to its end; never returns into the barn's code."""
    status = EXIT_FAILURE
    try:
        null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        # the program's streams move out of the way of the supervisor's own
        options = replace(options, stdio_fds=tuple(os.dup(fd) for fd in options.stdio_fds))
        for number, fd in enumerate((null_fd, *output_fds)):
            os.dup2(fd, number)
        os.setsid()  # a signal to the barn's process group, as by Ctrl-C, is the barn's to pass on, in its order
        os.chdir("/")
        speak_for(spec.name)
        supervisor = Supervisor(spec, steps, claim, link, options)
        if options.daemon:
            _keep_log(spec.name)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        status = supervisor.run()
        barn_link.send_ended(link)
    except Exception as error:
        failure = as_failure(error, spec.name, debug=options.trace)
        report(failure)
        barn_link.send_failure(link, failure)
    finally:
        os._exit(status)
