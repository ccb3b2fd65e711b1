"""The barn: the process of one haco file, above the supervisors of its containers."""

from __future__ import annotations

import os

from haconiwa.errors import HaconiwaError
from haconiwa.host.descriptors import write_all
from haconiwa.host.loop import Loop
from haconiwa.kernel import signals as signal
from haconiwa.spec.record import Record
from haconiwa.supervisor.memory import load_for_all, settle
from haconiwa.supervisor.messages import as_failure, flush
from haconiwa.supervisor.options import SupervisorOptions
from haconiwa.supervisor.order import Order
from haconiwa.supervisor.signals import HANDLED_SIGNALS, STOP_SIGNALS, USER_SIGNALS, Signals, stop_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.lifecycle.relay import Relay
    from haconiwa.spec.model import BarnSpec
    from haconiwa.supervisor.daemon import Report
    from haconiwa.supervisor.member import Member
    from haconiwa.supervisor.service import Service


class BarnOptions(Record):
    """How a barn was asked to work.

    Attributes:
        terminal: stdin and stdout are a terminal.
        message_fd: Where messages of ours and what hooks print go: stdout if that is a terminal, else stderr.
        quiet: Print no messages of ours.
        trace: Show every step.
        load: Executes the haco file again, for a reload; None where that is not possible.
        wait_ready: The caller of a daemon gets its answer once every container is ready, not only running.
        log_relay_fd: Where supervisors hand over output that leads to logs; -1 in the foreground.
        note: Called with the name of each part of the start that has ended.
    """

    terminal: bool = False
    message_fd: int = 2
    quiet: bool = False
    trace: bool = False
    load: Callable[[], BarnSpec] | None = None
    wait_ready: bool = False
    log_relay_fd: int = -1
    note: Callable[[str], None] = lambda _part: None


class Work:
    """The supervisors at work.

    Args:
        answer: Where a daemon's caller waits for the outcome of the start; None in the foreground.

    Attributes:
        adopts: They go on with what others have started.
    """

    adopts = False

    def __init__(
        self, spec: BarnSpec, options: BarnOptions, members: list[Member], answer: Report | None = None
    ) -> None:
        self._spec = spec
        self._options = options
        self._members = members
        self._order = Order(members)
        self._failed: list[Member] = []
        self._stopping = False
        self._loop = Loop()
        self._service: Service | None = None
        if "NOTIFY_SOCKET" in os.environ:
            from haconiwa.supervisor.service import Service

            self._service = Service(members, self._loop)
        self._answer = answer
        unheeded = HANDLED_SIGNALS if spec.daemonize else USER_SIGNALS
        self._signals = Signals((*STOP_SIGNALS, *unheeded, signal.SIGWINCH), stop_signals(daemon=spec.daemonize))
        self._relay: Relay | None = None
        self._has_terminal = options.terminal and not spec.daemonize and len(members) == 1
        self._print_fd = -1
        self._null_fd = -1
        self._master_fd = -1

    def run(self) -> Member | None:
        """Fork, wait, tell.

        Returns:
            Whose failure is that of the whole file; None when all went well.
        """
        self._loop.watch(self._signals.fd, lambda _events: self._take_signals())
        if len(self._members) > 1:
            load_for_all()
        self._fork_next()
        try:
            settle(self._loop)
            if self._answer:
                self._loop.run_until(self._is_decided)
                self._tell_caller(self._answer)
            self._loop.run_until(lambda: all(not member.is_alive for member in self._members))
        finally:
            self._close_terminal()  # it is the user's again, whatever has ended this
        return next((member for member in self._failed if member.exit_status), None)

    def _fork_next(self) -> None:
        """Start every container whose turn has come: those that it is to come after are ready, or run."""
        for member in self._order.due():
            try:
                self._fork(member)
            except (HaconiwaError, OSError) as error:
                member.give_up(as_failure(error, member.name))
                self._write("\n".join(member.failure))
                self._note_failure(member)
                return

    def _fork(self, member: Member) -> None:
        options = SupervisorOptions(
            haco_file=self._spec.file,
            daemon=self._spec.daemonize,
            terminal=self._has_terminal,
            stdio_fds=self._program_fds(),
            log_relay_fd=self._options.log_relay_fd,
            quiet=self._is_quiet(member),
            trace=self._options.trace or member.spec.log_level == "debug",
            adopts=self.adopts,
            load=self._options.load,
        )
        output_fds = self._output_fds(member)
        try:
            member.fork(options, output_fds, self._fds_beside(member))
        finally:
            for fd in set(output_fds) - {1, 2}:
                os.close(fd)
        assert member.link is not None  # noqa: S101 - the fork made it
        self._loop.watch(member.link.fileno(), lambda _events: self._receive(member))
        self._loop.watch(member.pidfd, lambda _events: self._member_ended(member))

    def _is_quiet(self, member: Member) -> bool:
        return self._options.quiet or member.spec.log_level in ("warning", "error")

    def _fds_beside(self, member: Member) -> list[int]:
        """What the supervisor of one may not inherit."""
        answer = [self._answer.write_fd] if self._answer and self._answer.write_fd >= 0 else []
        return answer + [fd for other in self._members if other is not member for fd in other.fds]

    def _program_fds(self) -> tuple[int, int, int]:
        """What the program gets without a terminal of its own; several programs do not share a stdin."""
        if len(self._members) == 1 or self._spec.daemonize:  # in the background it is empty already
            return (0, 1, 2)
        if self._null_fd < 0:
            self._null_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        return (self._null_fd, 1, 2)

    def _output_fds(self, member: Member) -> tuple[int, int]:
        """Where a supervisor's messages and hooks print."""
        if self._spec.daemonize:
            if member is self._members[0]:
                return (1, 2)  # the barn has opened it for itself
            from haconiwa.supervisor.own_log import open_own_log

            fd = open_own_log(member.name)
            return (fd, fd)
        if not self._has_terminal:
            return (self._options.message_fd, 2)
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        self._print_fd = read_fd
        self._loop.watch(read_fd, self._print_ready)
        return (write_fd, write_fd)

    def _receive(self, member: Member) -> None:
        ran = member.container_pid
        fd = member.receive()
        if member.container_pid != ran:
            self._options.note(f"{member.name} is started")
            self._forgive(member)
        if fd == -2 and member.link is not None:
            self._loop.unwatch(member.link.fileno())
            member.link.close()
            member.link = None
        elif fd >= 0:
            self._master_fd = fd
        while member.messages:
            self._show(member.messages.pop(0))
        if member.container_pid and self._master_fd >= 0:
            self._join_terminals(member)
        if member.failure:
            self._note_failure(member)
        elif member.never_ready and (self._options.wait_ready or self._order.waiting_after(member)):
            self._give_up_waiting(member)
        elif not self._stopping:
            self._fork_next()
            if self._service:
                self._service.look()

    def _give_up_waiting(self, member: Member) -> None:
        """The start of the whole file has failed because one container never became what is waited for."""
        if member.start_failed or self._stopping:
            return
        member.fail_unready(self._order.waiting_after(member))
        self._note_failure(member)

    def _show(self, message: str) -> None:
        """Show a supervisor's message after what was printed before it."""
        while self._print():
            pass
        if self._relay:
            self._relay.show_waiting()
        self._say(message)

    def _join_terminals(self, member: Member) -> None:
        """Only once the program runs: what could not be started leaves the terminal alone."""
        if self._relay:  # of the run before this one
            self._relay.close()
        from haconiwa.lifecycle.relay import Relay

        self._relay = Relay(self._loop, self._master_fd, lambda: self._escape(member), member.stop)
        self._master_fd = -1

    def _escape(self, member: Member) -> None:
        """The user wants to end it whatever the program thinks: two requests make the supervisor use KILL."""
        self._say("escape typed three times, ending the container")
        member.stop()
        member.stop(again=True)

    def _print_ready(self, _events: int) -> None:
        if not self._print():
            self._loop.unwatch(self._print_fd)

    def _print(self) -> bool:
        """Show what the supervisor and its hooks print; lines stay right while the terminal is raw."""
        try:
            text = os.read(self._print_fd, 65536)
        except BlockingIOError:
            return False
        raw = self._relay is not None and not self._relay.ended
        write_all(self._options.message_fd, text.replace(b"\n", b"\r\n") if raw else text)
        return bool(text)

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGWINCH:
                if self._relay:
                    self._relay.resize()
                continue
            if number in self._signals.stops:
                self._stop_all()
            elif number == signal.SIGHUP:
                for member in self._members:
                    member.reload()

    def _stop_all(self) -> None:
        """End every container, those that come after others first; when told twice, all at once."""
        again, self._stopping = self._stopping, True
        if self._service:
            self._service.stop()
        for member in self._members:
            if member.is_waiting:
                member.given_up = True
            elif again or not (self._order.living_after(member) or member.failure_told):
                member.stop(again=again)

    def _member_ended(self, member: Member) -> None:
        self._loop.unwatch(member.pidfd)
        while member.link is not None:  # its last words come before its end
            self._receive(member)
        member.reap()
        self._options.note(f"{member.name} runs and ends")
        if member.exit_status:
            self._note_failure(member)
        if self._order.waiting_after(member) or (self._answer and self._options.wait_ready and not member.ready):
            self._give_up_waiting(member)
        if self._stopping:
            for other in self._order.before(member):
                if not (self._order.living_after(other) or other.failure_told):
                    other.stop()
        self._close_terminal()
        if member.died:
            self._clear_up(member)
        if member.container_pid and not self._is_quiet(member):  # of a start that failed the error says all
            self._say(f"One of supervisors finished: {member.pid}, {member.describe_exit()}")

    def _clear_up(self, member: Member) -> None:
        for line in member.last_words:
            self._write(line)
        if self.adopts:
            return  # it stays an orphan
        try:
            member.clear_up(daemon=self._spec.daemonize)
        except Exception as error:  # the others go on
            self._write("\n".join(as_failure(error, member.name).lines()))

    def _close_terminal(self) -> None:
        if self._relay:
            self._relay.close()
            self._relay = None
        while self._print_fd >= 0 and self._print():
            pass

    def _note_failure(self, member: Member) -> None:
        """Remember who failed first: the others may fail because a start that failed stops them."""
        if member not in self._failed:
            self._failed.append(member)
        if not member.container_pid or member.start_failed:
            member.start_failed = True
            if not self._stopping:
                self._stop_all()

    def _forgive(self, member: Member) -> None:
        """What could not be started again at first runs after all."""
        if member in self._failed and not member.start_failed:
            self._failed.remove(member)

    def _is_decided(self) -> bool:
        """Whether all run, or one could not be started and nothing is left of any."""
        if self._stopping:
            return all(not member.is_alive for member in self._members)
        return all(member.ready if self._options.wait_ready else member.container_pid for member in self._members)

    def _tell_caller(self, answer: Report) -> None:
        failed = [member for member in self._failed if member.start_failed]
        answer.tell(self._members, failed, interrupted=self._stopping)

    def _say(self, text: str) -> None:
        if self._spec.daemonize or self._options.quiet:
            return
        self._write(text)

    def _write(self, text: str) -> None:
        flush()
        fd = 2 if self._spec.daemonize else self._options.message_fd
        raw = self._relay is not None and not self._relay.ended
        write_all(fd, f"{text}\r\n".encode() if raw else f"{text}\n".encode())
