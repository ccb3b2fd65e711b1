"""Small things one does with file descriptors."""

from __future__ import annotations

import os


def write_all(fd: int, data: bytes) -> None:
    """Write everything; a reader that is gone is no reason to end."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass
