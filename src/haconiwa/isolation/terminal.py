"""The pseudo-terminal of an interactive container, from the container's own devpts where it has one."""

from __future__ import annotations

import os
import sys
from _socket import SCM_RIGHTS, SOL_SOCKET

from haconiwa.isolation.confined import open_inside
from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import CHILD, Site, Step
from haconiwa.isolation.trees import attach, make_filesystem
from haconiwa.kernel.files import DEVPTS_SUPER_MAGIC, fstatfs
from haconiwa.kernel.mount import AT, OPEN_TREE, open_tree
from haconiwa.kernel.terminal import get_window_size, open_pty_peer, set_window_size, unlock_pty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec

_PTMX = os.makedev(5, 2)
_FLAGS = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
MASTER = b"T"
"""The message that carries a terminal's master."""


class OpenTerminal(Step):
    """Open a pseudo-terminal when the program gets one, and send its master to whoever relays it."""

    __slots__ = ("has_console",)

    def __init__(self, *, has_console: bool) -> None:
        super().__init__(CHILD)
        self.has_console = has_console

    def describe(self) -> str:
        return "open a terminal if the program gets one"

    def execute(self, site: Site) -> None:
        if site.terminal_socket is None:
            return
        master_fd, peer_fd = open_terminal(site.root_fd)
        set_window_size(master_fd, *get_window_size(site.stdio_fds[0]))
        site.stdio_fds = (peer_fd, peer_fd, peer_fd)
        if self.has_console:
            copy_fd = open_tree(peer_fd, "", OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH)
            attach(copy_fd, site.root_fd, "/dev/console")
        fd_bytes = master_fd.to_bytes(4, sys.byteorder)
        site.terminal_socket.sendmsg([MASTER], [(SOL_SOCKET, SCM_RIGHTS, fd_bytes)])
        os.close(master_fd)


def open_terminal(root_fd: int) -> tuple[int, int]:
    """A pseudo-terminal whose name means something inside, as (master, peer) descriptors.

    Whoever rules the container's /dev may have put anything there, so what is opened is checked to be the
    multiplexer of a devpts, and the peer is asked of the kernel instead of opened by name. Without one the terminal
    comes from a devpts of its own, which nobody can see.
    See: ioctl_tty(2), TIOCGPTPEER.
    """
    master_fd = _own_multiplexer(root_fd)
    if master_fd < 0:
        devpts_fd = make_filesystem("devpts", "devpts", parse_options("ptmxmode=0666,mode=0620"))
        master_fd = os.open("ptmx", _FLAGS, dir_fd=devpts_fd)
        os.close(devpts_fd)
    unlock_pty(master_fd)
    return master_fd, open_pty_peer(master_fd, _FLAGS)


def _own_multiplexer(root_fd: int) -> int:
    """The container's /dev/pts/ptmx, opened; -1 where it is missing or something else."""
    try:
        fd = open_inside(root_fd, "/dev/pts/ptmx", _FLAGS | os.O_NONBLOCK)
    except OSError:
        return -1
    if fstatfs(fd) != DEVPTS_SUPER_MAGIC or os.fstat(fd).st_rdev != _PTMX:
        os.close(fd)
        return -1
    os.set_blocking(fd, True)
    return fd


def plan(spec: ContainerSpec) -> list[Step]:
    """The step once /dev is there. /dev/console is the terminal where both /dev and its devpts are the container's."""
    kinds = {mount.kind for mount in spec.mounts if not mount.host}
    return [OpenTerminal(has_console={"devtmpfs", "devpts"} <= kinds)]
