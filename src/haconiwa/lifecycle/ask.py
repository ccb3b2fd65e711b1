"""Asking a container's supervisor over its control socket.

See: haconiwa.supervisor.control
"""

from __future__ import annotations

import json
import os
import socket

from haconiwa.errors import ContainerError, printable
from haconiwa.host.paths import run_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_PACKET = 65536


def connect(name: str, timeout_s: float) -> socket.socket:
    """A connection to a supervisor, on which each call waits that long at most.

    Raises:
        OSError: There is no supervisor, or it does not run its container yet.
    """
    folder_fd = os.open(os.path.join(run_dir(), name), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(timeout_s)
        connection.connect(f"/proc/self/fd/{folder_fd}/control")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder_fd)
    return connection


def ask(name: str, request: dict[str, object], timeout_s: float = 10.0) -> dict[str, Any]:
    """Send one request and wait for the answer.

    Args:
        name: The container's.
        request: What is asked, with the word ``do``.
        timeout_s: How long to wait for a supervisor that is busy with a hook.

    Raises:
        ContainerError: Nobody answers, or the supervisor refuses.
    """
    try:
        with connect(name, timeout_s) as connection:
            connection.send(json.dumps(request).encode())
            packet = connection.recv(_LARGEST_PACKET)
    except TimeoutError:
        raise ContainerError(
            f"its supervisor does not answer within {timeout_s:g} s", why="a hook may hang", subject=name
        ) from None
    except OSError as error:
        raise ContainerError(
            "cannot ask its supervisor", why=error.strerror or str(error), hint="see haconiwa ps", subject=name
        ) from None
    answer: dict[str, Any] = json.loads(packet or b'{"ok": false, "error": ["error: it closed the connection"]}')
    if not answer["ok"]:
        why = "; ".join(printable(line.strip().removeprefix("error: ")) for line in answer["error"])
        raise ContainerError(f'its supervisor refuses "{request["do"]}"', why=why, subject=name)
    return answer


def note(name: str, **details: object) -> None:
    """Let a supervisor know what is about to be done to its container, without waiting for it; nobody need be there."""
    try:
        with connect(name, 1.0) as connection:
            connection.send(json.dumps({"do": "note", **details}).encode())
    except OSError:
        pass
