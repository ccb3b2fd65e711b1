"""What happened to containers: one file for all of them, one line of JSON an event, oldest first.

It is a log and outlives the containers. Every supervisor appends to it by itself, whole lines that no other write can
come between; whoever makes it too long puts it aside as ``.1`` and a new one begins, so that it never takes more than
twice its size. What cannot be written is lost, since no container may fail for it.
"""

from __future__ import annotations

import os

from haconiwa.errors import HostError
from haconiwa.host.descriptors import is_at
from haconiwa.host.paths import events_file
from haconiwa.kernel.locks import try_lock
from haconiwa.lifecycle.json_text import to_json
from haconiwa.lifecycle.state import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = dict[str, Any]

_LARGEST = 1 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def append_event(name: str, event: str, **details: object) -> Event:
    """Record an event.

    Args:
        name: The container's.
        event: What happened, one word.
        details: Plain values; None is left out.

    Returns:
        The event as recorded, with the time in seconds since the epoch.
    """
    known = {key: value for key, value in details.items() if value is not None}
    record: Event = {"time": now(), "name": name, "event": event, **known}
    try:
        path = events_file()
        fd = _open(path)
    except (OSError, HostError):
        return record
    try:
        os.write(fd, f"{to_json(record)}\n".encode())
        if os.fstat(fd).st_size > _LARGEST:
            _put_aside(fd, path)
    except OSError:
        pass
    finally:
        os.close(fd)
    return record


def _open(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, _FLAGS, 0o600)


def _put_aside(fd: int, path: str) -> None:
    """Rename the file, unless another supervisor does so or has just done it."""
    if try_lock(fd) and is_at(fd, path):
        os.rename(path, f"{path}.1")
