"""Pid files, for other programs to find a supervisor or a barn. We ourselves never trust one."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError, describe_errno
from haconiwa.host.descriptors import write_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where


def write_pid_file(path: str, where: Where | None = None) -> None:
    """Write this process's pid.

    Args:
        path: Of the file; its folder must be there.
        where: The line that names it.

    Raises:
        ContainerError: The file cannot be written.
    """
    try:
        write_beside(path, f"{os.getpid()}\n")
    except OSError as error:
        why, hint = describe_errno(error.errno or 0), "container_pid_file can name another place; its folder must exist"
        raise ContainerError(f'cannot write the pid file "{path}"', why=why, hint=hint, where=where) from error
