"""Going into the background, and telling the caller truthfully how that went."""

from __future__ import annotations

import os

from haconiwa.errors import EXIT_FAILURE, ContainerError
from haconiwa.host.descriptors import close_inherited, write_all
from haconiwa.host.paths import supervisor_log_file
from haconiwa.isolation.log_relay import LogRelay
from haconiwa.isolation.log_steps import RelayOutput
from haconiwa.kernel import signals as signal
from haconiwa.spec.record import replace
from haconiwa.supervisor.member import give_back_names
from haconiwa.supervisor.messages import use_log, use_syslog
from haconiwa.supervisor.own_log import OwnLog, open_own_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.errors import HaconiwaError
    from haconiwa.spec.model import BarnSpec
    from haconiwa.supervisor.barn import BarnOptions
    from haconiwa.supervisor.member import Member


class Report:
    """A pipe from the barn in the background to the caller in the foreground.

    Each process holds one end alone, so that either sees when the other is gone.

    Attributes:
        write_fd: The barn's.
    """

    def __init__(self) -> None:
        self._read_fd, self.write_fd = os.pipe()

    def begin(self) -> None:
        """In the barn: leave the other end to the caller, else nothing would say that it is gone."""
        os.close(self._read_fd)

    def wait(self, show: Callable[[str], None], name: str) -> int:
        """In the caller: wait for the outcome and show it.

        Args:
            show: Called with each line.
            name: Of the container whose supervisor's log the barn writes to.

        Returns:
            The exit status; 125 when the barn died without a word.
        """
        os.close(self.write_fd)
        content = b""
        while chunk := os.read(self._read_fd, 65536):
            content += chunk
        os.close(self._read_fd)
        if not content:
            death = ContainerError("the barn process died while starting", hint=f"see {supervisor_log_file(name)}")
            for line in death.lines():
                show(line)
            return EXIT_FAILURE
        status, *lines = content.decode("utf-8", "surrogateescape").split("\n")
        for line in lines:
            show(line)
        return int(status)

    def fail(self, error: HaconiwaError) -> None:
        """In the barn: say why it ends; nobody hears it once the caller has its answer."""
        if self.write_fd >= 0:
            self.send(error.exit_status, error.lines())

    def tell(self, members: list[Member], failed: list[Member], *, interrupted: bool) -> None:
        """In the barn: say how the start went.

        Args:
            members: All containers.
            failed: Those that could not be started.
            interrupted: Somebody has ended it meanwhile.
        """
        if failed:
            lines = [line for member in failed for line in member.failure or [f"error: {member.name}: did not start"]]
            status = EXIT_FAILURE if failed[0].container_pid else failed[0].exit_status
            self.send(status or EXIT_FAILURE, lines)
        elif interrupted:
            self.send(EXIT_FAILURE, ["error: the start was interrupted"])
        else:
            self.send(0, [f"{m.name}: pid={m.container_pid} supervisor={m.pid}" for m in members])

    def send(self, status: int, lines: list[str]) -> None:
        """In the barn: let the caller go. A caller that is gone needs no answer."""
        write_all(self.write_fd, "\n".join([str(status), *lines]).encode("utf-8", "surrogateescape"))
        os.close(self.write_fd)
        self.write_fd = -1


def work_in_background(members: list[Member], message_fd: int, work: Callable[[Report], int]) -> int:
    """Let a barn work in a process of its own, and wait until it says how it got on.

    Args:
        members: Its containers, whose names that process takes along.
        message_fd: Where the answer is shown.
        work: Runs in that process.

    Returns:
        The exit status.
    """
    answer = Report()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # else both give back the names
    if _detach():
        for member in members:
            member.leave_name()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return answer.wait(lambda line: write_all(message_fd, f"{line}\n".encode()), members[0].name)
    answer.begin()
    status = EXIT_FAILURE
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = work(answer)
    finally:
        give_back_names(members)
        os._exit(status)


def _detach() -> bool:
    """Continue in a process of a session of its own, without a terminal and what the caller has open. See: daemon(7).

    Returns:
        True in the caller, False in the background.
    """
    if os.fork():
        return True
    os.setsid()
    os.chdir("/")
    close_inherited()
    null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null_fd, number)
    os.close(null_fd)
    return False


def settle_in(spec: BarnSpec, options: BarnOptions, members: list[Member]) -> tuple[BarnOptions, LogRelay | None]:
    """In the background: open what barn and supervisors print to, and begin the process that writes containers' logs.

    Returns:
        The options with that process in them, and the process; None where nothing leads to a log.

    Raises:
        HostError: A log cannot be written.
    """
    _lead_output(members[0].name)
    if spec.syslog:
        from haconiwa.supervisor.syslog import open_syslog

        use_syslog(open_syslog(spec.file))
    if not any(isinstance(step, RelayOutput) for member in members for step in member.steps):
        return options, None
    relay = LogRelay()
    return replace(options, log_relay_fd=relay.fd), relay


def _lead_output(name: str) -> None:
    """Let what the barn and its hooks print go to the log of the supervisor of its first container.

    Raises:
        HostError: It cannot be written.
    """
    fd = open_own_log(name)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    use_log(OwnLog(name, puts_aside=False))
