"""What only root may do."""

from __future__ import annotations

import os

from haconiwa.errors import HostError


def require_root(command: str) -> None:
    """Refuse before anything is done.

    Raises:
        HostError: The caller is not root.
    """
    if os.geteuid() != 0:
        hint = f"sudo haconiwa {command} …"
        raise HostError(f"cannot {command} as user {os.geteuid()}", why="it needs root", hint=hint)
