"""A start is a list of steps, made before anything is done and then walked in three places.

Every module of this package has a pure ``plan`` that looks at the container's spec and answers with steps. Nothing is
done until a step's `execute` is called, with a `Site` that carries what the steps leave for each other.
"""

from __future__ import annotations

from haconiwa.errors import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Mapping
    from typing import Any

    from haconiwa.errors import HaconiwaError
    from haconiwa.isolation.cgroup_events import Source
    from haconiwa.spec.model import ContainerSpec

SUPERVISOR = "supervisor"
"""On the host, before the container's process exists."""
BIRTH = "clone"
"""In the supervisor: the one step that makes the container's process."""
PARENT = "parent"
"""In the supervisor, while the container's process is being built."""
CHILD = "child"
"""In the container's process; the host's root is still there."""
INSIDE = "inside"
"""In the container's process; the root is the container's, so nothing may be imported or opened by a host path."""
RUNNING = "running"
"""In the supervisor; the container's program runs."""

PLACES = (SUPERVISOR, BIRTH, PARENT, CHILD, INSIDE, RUNNING)


class Executable:
    """A program that was found.

    Attributes:
        folder_fd: The folder that it is in.
        path: To the file, whose last part is its name there and no link.
        argv: Its arguments; of a script those for the interpreter, which is executed then.
        environ: Its whole environment.
    """

    __slots__ = ("argv", "environ", "folder_fd", "path")

    def __init__(self, folder_fd: int, path: str, argv: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.folder_fd = folder_fd
        self.path = path
        self.argv = argv
        self.environ = environ


class Site:
    """What the steps of one start share. The child works on its own copy from the clone on.

    Attributes:
        spec: The container.
        base: The object that hooks receive.
        root_fd: The container's root as a directory; -1 until it is there.
        trees: Detached mounts and opened namespaces by the key of the step that made them.
        kernel_mounts: The mounts of procfs and sysfs as (destination, descriptor of its root), in their order.
        cgroup_paths: The container's groups, absolute paths below /sys/fs/cgroup.
        cgroup_fd: The group of the v2 hierarchy in which the process is born; -1 for none.
        tasks_fds: ``tasks`` files of its v1 groups, opened for writing.
        uid, gid, groups, home: Who the program runs as, once looked up.
        stdio_fds: What becomes the program's 0, 1 and 2.
        log_relay_fd: Where output is handed over that leads to logs; -1 where nobody takes it.
        program: What is executed, once it was found.
        listener_fd: Tells of system calls that a function decides; -1 for none. For the supervisor.
        channel_fd: The connection between supervisor and child, each process's own end of it.
        terminal_socket: Where the terminal's master is sent to whoever relays it.
        report: Called with an error that does not stop the start.
        tell: Called with an event of the container's and its details, for the record.
        child_pid, child_pidfd: The container's process as the supervisor sees it; 0 and -1 in that process itself.
        program_ran: The start succeeded, so that what is to outlive the container stays.
        dies_with_supervisor: The container must not outlive its supervisor.
        network: What `isolation.net` has reserved; None without a network.
        watched: Descriptors that the supervisor watches while the container runs, and what it calls then, which answers
            false when it wants no more.
        group_events: What tells of events of its groups, in the order of the hooks for them.
    """

    def __init__(self, spec: ContainerSpec, base: object = None) -> None:
        self.spec = spec
        self.base = base
        self.root_fd = -1
        self.trees: dict[str, int] = {}
        self.kernel_mounts: list[tuple[str, int]] = []
        self.cgroup_paths: tuple[str, ...] = ()
        self.cgroup_fd = -1
        self.tasks_fds: list[int] = []
        self.uid = 0
        self.gid = 0
        self.groups: tuple[int, ...] = ()
        self.home = "/"
        self.stdio_fds: tuple[int, int, int] = (0, 1, 2)
        self.log_relay_fd = -1
        self.program: Executable | None = None
        self.listener_fd = -1
        self.channel_fd = -1
        self.terminal_socket: socket | None = None
        self.report: Callable[[HaconiwaError], None] = lambda _error: None
        self.tell: Callable[..., None] = lambda _event, **_details: None
        self.child_pid = 0
        self.child_pidfd = -1
        self.program_ran = False
        self.dies_with_supervisor = True
        self.network: Any = None
        self.watched: dict[int, Callable[[], bool]] = {}
        self.group_events: list[Source] = []


class Step:
    """One thing done on the way to a running container.

    Attributes:
        place: Where it runs, one of `PLACES`.
        where: The line of the haco file that asked for it.
    """

    __slots__ = ("place", "where")

    def __init__(self, place: str, where: Where | None = None) -> None:
        self.place = place
        self.where = where

    def describe(self) -> str:
        """What it does, in words that complete "cannot …"."""
        raise NotImplementedError

    def execute(self, site: Site) -> None:
        """Do it.

        Raises:
            OSError: The kernel refused; the runner says which step it was.
            HaconiwaError: It was refused for a reason of ours.
        """
        raise NotImplementedError

    def undo(self, site: Site) -> None:
        """Take back what outlives the container's process. Called once, in reverse order, also after a failure."""

    def hint(self, number: int) -> str:
        """What a user can do about this error of the kernel's; empty when there is nothing to say."""
        return ""

    def warning(self) -> str:
        """What a user should know before it is done; empty when there is nothing to say."""
        return ""
