"""A forked helper whose output arrives line by line and which never outlives its caller.

Everything that builds a root file system runs in one: programs, the user's functions, the unpacking of archives.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable

from haconiwa import errors
from haconiwa.errors import ConfigError, HaconiwaError, HostError, describe_errno, printable
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.mount import MS, mount
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.process import clone3, set_pdeathsig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_GRACE_MS = 1000
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 14
_LONGEST_PIPE = 1 << 20  # /proc/sys/fs/pipe-max-size
_LONGEST_FIELD = 4000  # of an error record, so that all of it fits into the pipe at once
_RECORD_FIELDS = ("what", "why", "hint", "subject")


def run_helper(
    function: Callable[[], int],
    on_line: Callable[[str], object],
    *,
    isolated: bool = True,
    stdin_fd: int = -1,
    on_start: Callable[[int], object] = lambda _pid: None,
) -> int:
    """Run a function in a child of its own session and receive what it and its children print.

    The child and everything it started is killed when the caller dies or leaves by an exception.

    Args:
        function: Runs in the child; its result becomes the exit status. An exception of ours is raised again here,
            another one is printed and becomes status 1.
        on_line: Called with each line of stdout and stderr, control characters escaped, as it comes.
        isolated: As root, give it a mount and a pid namespace: no mount and no process of it stays behind.
        stdin_fd: Becomes its standard input; -1 for /dev/null.
        on_start: Called with its pid.

    Returns:
        The exit status, or minus the signal that ended it.

    Raises:
        HostError: The namespaces were refused.
    """
    output_fd, output_end = os.pipe()
    record_fd, record_end = os.pipe()
    isolated = isolated and os.geteuid() == 0
    # no handler may run between the birth of the child and the "try" that ends it
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid, pidfd = clone3(CLONE.NEWNS | CLONE.NEWPID if isolated else CLONE(0))
    except SyscallError as error:
        for fd in (output_fd, output_end, record_fd, record_end):
            os.close(fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise HostError("cannot make namespaces to build in", why=describe_errno(error.errno or 0)) from None
    if pid == 0:
        os.close(record_fd)
        _live_as_helper(function, (stdin_fd, output_end), record_end, isolated=isolated)
    os.close(output_end)
    os.close(record_end)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        on_start(pid)
        _relay(output_fd, pid, pidfd, on_line)
        _raise_recorded(record_fd)
    except BaseException:
        _end(pid, pidfd)
        raise
    else:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for fd in (output_fd, record_fd, pidfd):
            os.close(fd)


def _relay(output_fd: int, pid: int, pidfd: int, on_line: Callable[[str], object]) -> None:
    """Deliver lines until the helper has ended; its pid is not reaped, so that the number stays its own."""
    os.set_blocking(output_fd, False)
    splitter = LineSplitter(on_line)
    poll = select.poll()
    poll.register(output_fd, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    ended = False
    while not ended:
        for fd, _ in poll.poll():
            if fd == pidfd:
                ended = True
            elif not splitter.pump(output_fd):
                poll.unregister(output_fd)
    _signal_group(pid, signal.SIGKILL)  # what stayed in the background would hold the pipe open
    for _ in range(_LONGEST_PIPE // _CHUNK):
        if not splitter.pump(output_fd):
            break
    splitter.finish()


class LineSplitter:
    """Cuts a stream of bytes into printable lines; a carriage return ends a line too, as in progress displays."""

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self._on_line = on_line
        self._rest = b""

    def pump(self, fd: int) -> bool:
        """Read once from a non-blocking descriptor; false when nothing is left there."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        self.feed(chunk)
        return bool(chunk)

    def feed(self, chunk: bytes) -> None:
        """Take some bytes, deliver the lines that are complete."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._deliver(line)
        if len(self._rest) > _LONGEST_LINE:
            self.finish()

    def finish(self) -> None:
        """Deliver what has no line end."""
        if self._rest:
            self._deliver(self._rest)
            self._rest = b""

    def _deliver(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace")
        self._on_line("\t".join(printable(part) for part in text.split("\t")))


def _end(pid: int, pidfd: int) -> None:
    """End the helper whole: TERM to its session, KILL to what stays. Interrupting this would leave it behind."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        if not _signal_group(pid, signal.SIGTERM):  # its session does not exist yet
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(_GRACE_MS)
        _signal_group(pid, signal.SIGKILL)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _signal_group(pid: int, number: int) -> bool:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def _record_of(error: HaconiwaError) -> bytes:
    fields = {key: str(getattr(error, key))[:_LONGEST_FIELD] for key in _RECORD_FIELDS}
    return json.dumps([type(error).__name__, fields]).encode()


def _raise_recorded(record_fd: int) -> None:
    """Raise the error that the helper sent, if any."""
    record = os.read(record_fd, _CHUNK)
    if not record:
        return
    name, fields = json.loads(record)
    hint = fields.pop("hint")
    error = ConfigError(fields["what"]) if name == "ConfigError" else getattr(errors, name)(**fields)
    error.hint = hint  # some have one of their own, and do not take another
    raise error


def _live_as_helper(function: Callable[[], int], stdio: tuple[int, int], record_fd: int, *, isolated: bool) -> NoReturn:
    """The child's whole life. It leaves by os._exit, because what the caller has to clean up is not its business."""
    status = 1
    try:
        os.setsid()
        os.umask(0o022)
        _die_with_parent(record_fd)
        _take_stdio(*stdio)
        _forget_signals()
        if isolated:
            _separate_mounts()
        status = function()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except HaconiwaError as error:
        os.write(record_fd, _record_of(error))
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(status & 0xFF)


def _die_with_parent(record_fd: int) -> None:
    """Be killed with the parent, also when it died before this was said: getppid() is 0 across pid namespaces."""
    set_pdeathsig(signal.SIGKILL)
    poll = select.poll()
    poll.register(record_fd, 0)
    if poll.poll(0):  # POLLERR: nobody has the reading end any more
        os._exit(1)


def _take_stdio(stdin_fd: int, output_fd: int) -> None:
    if stdin_fd < 0:
        stdin_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    for fd, number in ((os.dup(stdin_fd), 0), (os.dup(output_fd), 1), (output_fd, 2)):
        os.dup2(fd, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = sys.stdout


def _forget_signals() -> None:
    """Undo handlers, what CPython ignores, and the mask: the last two would survive an exec."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _separate_mounts() -> None:
    """Let no mount of ours reach the host, and show the own pid namespace in /proc where that is allowed."""
    mount(None, "/", None, MS.REC | MS.SLAVE)
    try:
        mount("proc", "/proc", "proc", MS.NOSUID | MS.NODEV | MS.NOEXEC)
    except OSError as error:
        # in a container whose own /proc is masked; programs then see the pids of the outer namespace
        if error.errno != errno.EPERM:
            raise
