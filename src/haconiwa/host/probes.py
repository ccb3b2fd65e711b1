"""Asking this machine what it can do, by trying it where that is possible and harmless."""

from __future__ import annotations

import errno
import os

from haconiwa.kernel.files import openat2
from haconiwa.kernel.mount import AT, fsopen, mount_setattr, open_tree
from haconiwa.kernel.process import clone3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NO_FD = 1 << 20
"""No open descriptor: it is above any limit that a kernel allows by default."""
_ABSENT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.E2BIG)
_CRASHED = 255

# Each call is made so that it must fail, with another error than that it does not exist.
SYSTEM_CALLS: dict[str, tuple[str, Callable[[], object]]] = {
    "clone3": ("5.7", lambda: clone3(0, cgroup_fd=NO_FD)),
    "openat2": ("5.6", lambda: openat2(NO_FD, "nothing", os.O_RDONLY)),
    "open_tree": ("5.2", lambda: open_tree(NO_FD, "nothing")),
    "fsopen": ("5.2", lambda: fsopen("")),
    "mount_setattr": ("5.12", lambda: mount_setattr(NO_FD, "", AT.EMPTY_PATH)),
    "pidfd": ("5.3", lambda: os.pidfd_open(0)),
}
"""Calls that every container needs: the Linux version that brought each, and how it is asked for."""


def exists(call: Callable[[], object]) -> bool:
    """Whether the kernel knows a call, which may fail for any other reason."""
    try:
        call()
    except OSError as error:
        return error.errno not in _ABSENT
    return True


def attempt(function: Callable[[], object]) -> int:
    """Try something in a child, which ends with all that it has changed for itself.

    Returns:
        0 when it worked, else the error number.
    """
    pid = os.fork()
    if pid == 0:
        status = _CRASHED
        try:
            function()
            status = 0
        except OSError as error:
            status = error.errno or _CRASHED
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_text(path: str) -> str:
    """The content of a small file without the white space around it; nothing when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
