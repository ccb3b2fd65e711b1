"""A procfs of our own, attached nowhere, so that no container can do anything to it.

An ordinary user cannot make one outside of a container; it takes the host's, which no container of its can change.
"""

from __future__ import annotations

import errno
import os

from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import SUPERVISOR, Site, Step
from haconiwa.isolation.trees import make_filesystem
from haconiwa.kernel.files import PROC_SUPER_MAGIC, fstatfs

KEY = "procfs"
"""Where in `Site.trees` its root is."""
_OPTIONS = parse_options("nosuid,nodev,noexec")


class OpenProcfs(Step):
    """Make it, once for all steps that need it."""

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "open a procfs of its own"

    def execute(self, site: Site) -> None:
        if KEY not in site.trees:
            unprivileged = site.spec.unprivileged
            site.trees[KEY] = _open_hosts() if unprivileged else make_filesystem("proc", "proc", _OPTIONS)


def _open_hosts() -> int:
    fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if fstatfs(fd) != PROC_SUPER_MAGIC:
        os.close(fd)
        raise OSError(errno.ENODEV, '"/proc" is something else')
    return fd
