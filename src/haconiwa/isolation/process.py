"""What the container's process is to the rest of the system: session, keyring, terminal, privileges to come."""

from __future__ import annotations

import errno
import os

from haconiwa.isolation.step import CHILD, INSIDE, Site, Step
from haconiwa.kernel.keyctl import join_session_keyring
from haconiwa.kernel.process import set_no_new_privs, set_pdeathsig
from haconiwa.kernel.terminal import set_controlling_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec

_SIGKILL = 9
_NO_KEYRING = (errno.ENOSYS, errno.EDQUOT, errno.EPERM, errno.EACCES)


class NewSession(Step):
    """Lead a session of its own, so that no terminal of the host's can be typed into (TIOCSTI)."""

    def __init__(self) -> None:
        super().__init__(CHILD)

    def describe(self) -> str:
        return "start a new session"

    def execute(self, site: Site) -> None:
        os.setsid()


class NewKeyring(Step):
    """Leave the host's session keyring for an empty one; a kernel without keyrings has none to leave."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "join an empty session keyring"

    def execute(self, site: Site) -> None:
        try:
            join_session_keyring()
        except OSError as error:
            if error.errno not in _NO_KEYRING:
                raise


class WireStdio(Step):
    """Put the program's stdin, stdout and stderr in place, and make a terminal the controlling one."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "connect stdin, stdout and stderr"

    def execute(self, site: Site) -> None:
        # Copies above 2 first: one of the three may itself be 0, 1 or 2 of another stream.
        copies = [os.dup(fd) for fd in site.stdio_fds]
        for number, fd in enumerate(copies):
            os.dup2(fd, number)
        for fd in copies:
            os.close(fd)
        if site.terminal_socket is not None:
            set_controlling_terminal(0)


class SetUmask(Step):
    """Start with the container's umask, whatever the caller's was."""

    __slots__ = ("mask",)

    def __init__(self, spec: ContainerSpec) -> None:
        super().__init__(INSIDE, spec.sources.get("umask"))
        self.mask = spec.umask

    def describe(self) -> str:
        return f"set the umask {self.mask:03o}"

    def execute(self, site: Site) -> None:
        os.umask(self.mask)


class SetNoNewPrivs(Step):
    """Forbid that an exec gains privileges, also by set-user-ID programs."""

    def __init__(self, spec: ContainerSpec) -> None:
        super().__init__(INSIDE, spec.sources.get("no_new_privs"))

    def describe(self) -> str:
        return "set no_new_privs"

    def execute(self, site: Site) -> None:
        set_no_new_privs()


class DieWithSupervisor(Step):
    """Be killed when the supervisor ends. Armed last: changed ids and capabilities disarm it."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "arrange to be killed when the supervisor ends, unless it is a daemon's"

    def execute(self, site: Site) -> None:
        set_pdeathsig(_SIGKILL if site.dies_with_supervisor else 0)


def plan_child() -> list[Step]:
    """The step before anything else in the child."""
    return [NewSession()]


def plan_last(spec: ContainerSpec) -> list[Step]:
    """Steps after ids and capabilities are set."""
    steps: list[Step] = [NewKeyring(), SetUmask(spec)]
    if spec.no_new_privs:
        steps.append(SetNoNewPrivs(spec))
    return [*steps, DieWithSupervisor(), WireStdio()]
