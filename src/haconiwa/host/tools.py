"""Where programs are found, and those that a start waits for: ip, nft, tc, newuidmap, fed with all they have to do.

`host.programs` is for what takes long and whose output is shown; it would cost a start several milliseconds to load.
"""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import HostError
from haconiwa.host.descriptors import memory_file
from haconiwa.kernel import signals as signal
from haconiwa.kernel.namespaces import CLONE, setns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked up, and the PATH that they get; the caller's own PATH is not trusted."""

_PACKAGES = {
    "busybox": "busybox-static",
    "lxc-create": "lxc",
    "xz": "xz-utils",
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "mksquashfs": "squashfs-tools",
    "newuidmap": "uidmap",
    "newgidmap": "uidmap",
    "apparmor_parser": "apparmor",
}
_ENVIRONMENT = {"PATH": SAFE_PATH, "LC_ALL": "C"}
_OUTPUT_MAX = 1 << 20
_ENDS_WITHIN_S = 30.0
_KILLED_WITHIN_S = 5.0


class ToolFailed(HostError):
    """A program said no. Its words are in `why`."""


class ToolHung(ToolFailed):
    """A program did not end in time and was killed."""


class Tool:
    """A program at work. It began when this was made.

    Args:
        what: What it is to do, in words that complete "cannot …".
        name: The program.
        arguments: Its arguments.
        text: Its standard input; None when that is not known yet: it loads, and waits for `finish`.

    Raises:
        HostError: It is not installed.
    """

    def __init__(self, what: str, name: str, arguments: tuple[str, ...], text: str | None = "") -> None:
        self._what = what
        self._name = name
        self._feed_fd = -1
        if text is None:
            stdin_fd, self._feed_fd = os.pipe()
        else:
            stdin_fd = memory_file(text.encode())
        self._output_fd = -1
        try:
            self._output_fd = os.memfd_create("output", os.MFD_CLOEXEC)
            self._pid = os.posix_spawn(
                find_program(name),
                (name, *arguments),
                _ENVIRONMENT,
                file_actions=[(os.POSIX_SPAWN_DUP2, stdin_fd, 0)]
                + [(os.POSIX_SPAWN_DUP2, self._output_fd, number) for number in (1, 2)],
                setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        except BaseException:
            if self._output_fd >= 0:
                os.close(self._output_fd)
            self._end_input()
            raise
        finally:
            os.close(stdin_fd)

    def _end_input(self) -> None:
        if self._feed_fd >= 0:
            os.close(self._feed_fd)
            self._feed_fd = -1

    def finish(self, timeout_s: float = _ENDS_WITHIN_S, text: str = "") -> str:
        """Wait for its end. Whatever comes of that, the program is gone afterwards.

        Args:
            timeout_s: After which it is killed.
            text: Its standard input, if it was made without.

        Returns:
            What it printed.

        Raises:
            ToolFailed: It did not end well, or not in time.
        """
        try:
            status = self._wait(text.encode(), time.monotonic() + timeout_s)
            output = os.pread(self._output_fd, _OUTPUT_MAX, 0).decode("utf-8", "backslashreplace")
        finally:
            os.close(self._output_fd)
        if status is None:
            raise ToolHung(f"cannot {self._what}", why=f"{self._name} still ran after {timeout_s:g} s")
        if status:
            raise ToolFailed(f"cannot {self._what}", why=_first_line(output, self._name))
        return output

    def _wait(self, text: bytes, deadline: float) -> int | None:
        """Its wait status; None when it was killed for not ending."""
        pidfd = -1
        ended = False
        try:
            pidfd = os.pidfd_open(self._pid)
            ended = self._takes(text, deadline) and _is_ready(pidfd, select.POLLIN, deadline)
        finally:
            if not ended:
                _kill(self._pid, pidfd)
            self._end_input()  # not before: half of it might do half of the work
            if pidfd >= 0:
                os.close(pidfd)
        return os.waitpid(self._pid, 0)[1] if ended else None

    def _takes(self, text: bytes, deadline: float) -> bool:
        """Give it its standard input, all of it; false when it does not read that in time."""
        if text:
            os.set_blocking(self._feed_fd, False)
        try:
            while text:
                if not _is_ready(self._feed_fd, select.POLLOUT, deadline):
                    return False
                text = text[os.write(self._feed_fd, text) :]
        except BrokenPipeError:
            pass  # what it says at its end is the reason
        self._end_input()
        return True


def _is_ready(fd: int, events: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _kill(pid: int, pidfd: int) -> None:
    """Kill a child and reap it; for one that hangs in the kernel there is nothing more to do than to leave it."""
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        pass  # a set-user-ID program that has become root altogether
    gone = pidfd < 0 or _is_ready(pidfd, select.POLLIN, time.monotonic() + _KILLED_WITHIN_S)
    os.waitpid(pid, 0 if gone else os.WNOHANG)


def run_tool(what: str, name: str, *arguments: str, text: str = "") -> str:
    """Run a program to its end; see `Tool`."""
    return Tool(what, name, arguments, text).finish()


def _first_line(output: str, name: str) -> str:
    """What a program said first: ip says why before it says which line it was."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[0].removeprefix("RTNETLINK answers: ").removeprefix("Error: ") if lines else f"{name} failed"


def find_program(name: str, search_path: str = SAFE_PATH) -> str:
    """The absolute path of a program.

    Args:
        name: Its name.
        search_path: Folders, separated by colons.

    Raises:
        HostError: It is not installed; the hint names Debian's package.
    """
    for folder in search_path.split(":"):
        path = f"{folder}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    package = _PACKAGES.get(name, name)
    raise HostError(f'the program "{name}" is missing', hint=f"install it, on Debian: apt-get install {package}")


def open_network_namespace(pid: int | None = None) -> int:
    """A descriptor of a process's network namespace, by default of the caller's.

    Raises:
        OSError: The process is gone, or not to be looked at.
    """
    return os.open(f"/proc/{pid or 'self'}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def in_network_namespace(namespace_fd: int, function: Callable[[], T]) -> T:
    """Call a function with the calling process in another network namespace, which also starts programs there.

    Its own is not entered, which takes a right that an ordinary user has not got.

    Raises:
        OSError: The namespace cannot be entered.
    """
    own_fd = open_network_namespace()
    try:
        if os.path.samestat(os.fstat(own_fd), os.fstat(namespace_fd)):
            return function()
        setns(namespace_fd, CLONE.NEWNET)
        try:
            return function()
        finally:
            setns(own_fd, CLONE.NEWNET)
    finally:
        os.close(own_fd)
