"""Pid files, for other programs to find a supervisor or a barn. We ourselves never trust one."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError
from haconiwa.host.descriptors import write_beside


def write_pid_file(path: str) -> None:
    """Write this process's pid.

    Raises:
        ContainerError: The file cannot be written.
    """
    try:
        write_beside(path, f"{os.getpid()}\n")
    except OSError as error:
        raise ContainerError(f'cannot write the pid file "{path}"', why=error.strerror or str(error)) from error
