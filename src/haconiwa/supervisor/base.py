"""The live objects that hooks receive."""

from __future__ import annotations

import os

from haconiwa.errors import HaconiwaError
from haconiwa.kernel.signals import SIGTERM, pidfd_send_signal, signal_number
from haconiwa.lifecycle.hooks import hook_is_running
from haconiwa.supervisor.messages import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from haconiwa.lifecycle.state import State
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import Network
    from haconiwa.supervisor.attaching import Attached
    from haconiwa.supervisor.live_cgroup import LiveCgroup


class HookTimer:
    """The timer whose hook is running."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def stop(self) -> None:
        """Do not call this hook again."""
        self._stop()


class _Live:
    """What hooks receive and only read: setting a name there would change nothing of a container."""

    if not TYPE_CHECKING:

        def __setattr__(self, name, value):
            if hook_is_running() and not name.startswith("_"):
                raise AttributeError(self._refusal(name))
            object.__setattr__(self, name, value)

        def __getattr__(self, name):
            raise AttributeError(self._refusal(name))

    def _refusal(self, name: str) -> str:
        known = [each for each in dir(self) if not each.startswith("_")]
        dotted = f"{type(self).__name__.lower()}.{name}"
        if name in known:
            return f"{dotted}: hooks can read it, not set it"
        from haconiwa.spec.values import suggestion

        hint = suggestion(name, known)
        return f'unknown name "{dotted}"{"; " + hint if hint else ""}'


class Base(_Live):
    """A container as its hooks see it, alive: what it says is true when it is asked.

    Attributes:
        name: The container's name.
        root: Path of its root file system on the host; "/" without one.
        metadata: What the haco file says.
        status: creating, created, running, stopped, or restarting while it waits for its next start.
        pid: Its first process as the host sees it; 0 while there is none.
        exit_status: 0-255, 128+n when signal n ended it; None while it runs, and of one that was adopted where the
            kernel does not tell.
        timer: The timer whose hook is running; None in other hooks.
        network: Its interfaces and addresses, from `after_network_created` on; None where the network is the host's.
    """

    def __init__(self, spec: ContainerSpec) -> None:
        self.name = spec.name
        self.root = spec.rootfs.path if spec.rootfs else "/"
        self.metadata: Mapping[str, str] = dict(spec.metadata)
        self.status = "creating"
        self.pid = 0
        self.exit_status: int | None = None
        self.timer: HookTimer | None = None
        self.network: Network | None = None
        self._supervisor_pid = os.getpid()
        self._cgroup_paths: tuple[str, ...] = ()
        self._pidfd = -1
        self._get_state: Callable[[], State] | None = None
        self._stop: Callable[[], None] | None = None
        self._note_signal: Callable[[int], None] | None = None
        self._stop_asked = False

    def __repr__(self) -> str:
        return f"<Base of {self.name}, {self.status}>"

    def begin_run(self) -> None:
        """Be as before a start; the supervisor calls it."""
        self.status = "creating"
        self.pid = 0
        self.exit_status = None
        self._cgroup_paths = ()
        self.network = None
        self._pidfd = -1
        self._stop_asked = False

    @property
    def supervisor_pid(self) -> int:
        """The process that looks after the container, and runs most hooks."""
        return self._supervisor_pid

    @property
    def cgroup(self) -> LiveCgroup:
        """Its control groups, to be read and written: ``base.cgroup["memory.current"]``."""
        from haconiwa.supervisor.live_cgroup import LiveCgroup

        return LiveCgroup(self._cgroup_paths)

    def kill(self, sig: int | str = SIGTERM) -> None:
        """Send a signal to the container's first process.

        Args:
            sig: A number, or a name with or without ``SIG``.

        Raises:
            ValueError: No such signal.
            ProcessLookupError: The container does not run.
        """
        if self._pidfd < 0:
            raise ProcessLookupError(f"{self.name} is not running")
        number = signal_number(sig)
        if self._note_signal:
            self._note_signal(number)
        pidfd_send_signal(self._pidfd, number)

    def attach(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_sec: float | None = None) -> Attached:
        """Run a command in the container, confined as its first process is, and wait for its end.

        Everything else the supervisor does waits as well.

        Args:
            argv: The command and its arguments.
            stdin: What it reads.
            timeout_sec: After which it is killed; no limit unless given.

        Returns:
            Its ``exit_status``, ``stdout`` and ``stderr``.

        Raises:
            ProcessLookupError: The container does not run, or this is not its supervisor.
            TimeoutError: It took too long.
            OverflowError: It printed more than 16 MiB.
        """
        if self._pidfd < 0 or self._get_state is None or os.getpid() != self._supervisor_pid:
            raise ProcessLookupError(f"{self.name} is not running")
        from haconiwa.supervisor.attaching import attach

        return attach(self._get_state(), argv, stdin, timeout_sec)

    def stop(self) -> None:
        """End the container, and do not start it again: TERM, and KILL after ten seconds.

        One that does not run yet is ended as soon as it does.
        """
        self._stop_asked = True
        if self._stop:
            self._stop()

    def _on_stop(self, stop: Callable[[], None]) -> None:
        """What `stop` does, once the container runs; done at once when a hook has asked for it before."""
        self._stop = stop
        if self._stop_asked:
            stop()

    def log(self, text: object) -> None:
        """Print a line with the container's name, where the supervisor's own messages go."""
        say(f"{self.name}: {text}")


class Barn(_Live):
    """A haco file at work, as the hooks `setup`, `system_failure` and `teardown` see it.

    Attributes:
        name: Path of the haco file.
        containers: Names of its containers.
        exit_status: The first failure's exit status once everything has ended, 0 without one; None before.
        system_exception: What made a supervisor fail, where that is known.
    """

    def __init__(self, name: str, containers: tuple[str, ...]) -> None:
        self.name = name
        self.containers = containers
        self.exit_status: int | None = None
        self.system_exception: HaconiwaError | None = None

    def __repr__(self) -> str:
        return f"<Barn of {self.name}>"
