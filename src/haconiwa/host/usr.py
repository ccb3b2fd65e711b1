"""Where this machine keeps its programs and libraries, for containers that use them too."""

from __future__ import annotations

import os
import stat

USR = "/usr"
SYSTEM_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most machines, directories of their own on some."""


def shared_paths() -> tuple[str, ...]:
    """The system directories that the ``host`` strategy binds: /usr, and those beside it that are no links.

    Returns:
        Absolute host paths, /usr first.
    """
    return (USR, *(path for path in SYSTEM_DIRECTORIES if _is_directory(path)))


def shared_links() -> tuple[tuple[str, str], ...]:
    """The system directories that are links, as (path, target); a root that has /usr makes the same links."""
    return tuple((path, os.readlink(path)) for path in SYSTEM_DIRECTORIES if os.path.islink(path))


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
