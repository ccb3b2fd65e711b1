"""Running a command in the container on behalf of its own supervisor, always in a child of its own.

To join a pid namespace changes where the caller's later children are born, so the supervisor itself never does.
"""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import EXIT_FAILURE, HaconiwaError
from haconiwa.host.descriptors import memory_file
from haconiwa.host.loop import wait_ms
from haconiwa.isolation.step import Site
from haconiwa.kernel import signals as signal
from haconiwa.kernel.process import set_pdeathsig
from haconiwa.lifecycle.attach import AttachRequest, plan_attach
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.init import reset_signals
from haconiwa.lifecycle.to_end import run_to_end
from haconiwa.spec.record import Record
from haconiwa.supervisor.errand import end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

    from haconiwa.lifecycle.state import State

_CHUNK = 65536
_MOST_BYTES = 16 << 20


class Attached(Record):
    """What a command run in the container came to.

    Attributes:
        exit_status: 0-255; 128+n when signal n ended it; 125 to 127 when it could not be run.
        stdout, stderr: What it printed; bytes that are no UTF-8 as surrogates.
    """

    exit_status: int
    stdout: str
    stderr: str


def run_inside(state: State, argv: tuple[str, ...], stdio_fds: tuple[int, int, int]) -> int:
    """Run a command to its end, in a process that does nothing else afterwards; SIGTERM ends both.

    Returns:
        Its exit status.
    """
    signal.signal(signal.SIGTERM, _leave)
    spec, steps = plan_attach(state, AttachRequest(command=argv, environ={}))
    site = Site(spec)
    site.stdio_fds = stdio_fds
    return run_to_end(Container(spec, steps, site))


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit


def run_quietly(state: State, argv: tuple[str, ...]) -> bytes:
    """Run a command with nothing to read and nowhere to print; its exit status as text."""
    null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    return str(run_inside(state, argv, (null_fd, null_fd, null_fd))).encode()


def attach(state: State, argv: Sequence[str], stdin: bytes, timeout_s: float | None) -> Attached:
    """Run a command in the container and wait for its end.

    Args:
        state: The container.
        argv: The command.
        stdin: What it reads.
        timeout_s: After which it is killed; None for no limit.

    Raises:
        TimeoutError: It took too long.
        OverflowError: It printed more than 16 MiB.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pidfd, read_fds = _spawn(state, tuple(argv), stdin)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # only here may the time limit of a hook interrupt
            output = _collect(read_fds, pidfd, timeout_s)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            end(pidfd)
            result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            for fd in (pidfd, *read_fds):
                os.close(fd)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert result is not None  # noqa: S101 - only WNOHANG answers None
    stdout, stderr = (content.decode("utf-8", "surrogateescape") for content in output)
    status = result.si_status if result.si_code == os.CLD_EXITED else EXIT_FAILURE
    return Attached(exit_status=status, stdout=stdout, stderr=stderr)


def _spawn(state: State, argv: tuple[str, ...], stdin: bytes) -> tuple[int, tuple[int, int]]:
    """Begin to run a command; a pidfd, and where its stdout and stderr come. Signals are blocked."""
    memory_fd = memory_file(stdin)
    (output_fd, output_end), (errors_fd, errors_end) = os.pipe(), os.pipe()
    read_fds = (output_fd, errors_fd)
    for fd in read_fds:
        os.set_blocking(fd, False)  # the command may read what it has written itself
    try:
        pid = os.fork()
        if pid == 0:
            _child(state, argv, (memory_fd, output_end, errors_end))
    except OSError:
        for fd in read_fds:
            os.close(fd)
        raise
    finally:
        for fd in (memory_fd, output_end, errors_end):
            os.close(fd)
    return os.pidfd_open(pid), read_fds


def _collect(read_fds: tuple[int, int], pidfd: int, timeout_s: float | None) -> list[bytes]:
    """What comes from two pipes until a process has ended; who else holds them is not waited for."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    contents = {fd: bytearray() for fd in read_fds}
    poll = select.poll()
    for fd in (*read_fds, pidfd):
        poll.register(fd, select.POLLIN)
    while True:
        ready = dict(poll.poll(None if deadline is None else wait_ms(deadline)))
        if pidfd in ready:
            for fd in read_fds:
                while _take(fd, contents[fd]):
                    pass
            return [bytes(contents[fd]) for fd in read_fds]
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"the command still runs after {timeout_s:g} s")
        for fd, event in ready.items():
            if not _take(fd, contents[fd]) and event & select.POLLHUP:
                poll.unregister(fd)


def _take(fd: int, content: bytearray) -> bool:
    """Take in the next part of what a pipe has; whether there was one."""
    try:
        chunk = os.read(fd, _CHUNK)
    except BlockingIOError:
        return False
    content += chunk
    if len(content) > _MOST_BYTES:
        raise OverflowError("the command has printed more than 16 MiB")
    return bool(chunk)


def _child(state: State, argv: tuple[str, ...], stdio_fds: tuple[int, int, int]) -> None:
    """The child, from the fork to its end; what goes wrong is told where the command would print its errors."""
    status = EXIT_FAILURE
    try:
        set_pdeathsig(signal.SIGKILL)
        reset_signals()
        status = run_inside(state, argv, stdio_fds)
    except HaconiwaError as error:
        os.write(stdio_fds[2], "".join(f"{line}\n" for line in error.lines()).encode("utf-8", "surrogateescape"))
        status = error.exit_status
    finally:
        os._exit(status)
