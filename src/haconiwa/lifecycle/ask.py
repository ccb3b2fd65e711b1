"""Asking a container's supervisor over its control socket.

See: haconiwa.supervisor.control
"""

from __future__ import annotations

import json
import os
import socket

from haconiwa.errors import ContainerError, Where, printable
from haconiwa.host.paths import run_dir
from haconiwa.lifecycle.packets import LARGEST_PACKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
        ContainerError: Nobody answers, what comes is no answer, or the supervisor refuses.
    """
    try:
        with connect(name, timeout_s) as connection:
            connection.send(json.dumps(request).encode())
            packet = connection.recv(LARGEST_PACKET)
    except TimeoutError:
        raise ContainerError(
            f"its supervisor does not answer within {timeout_s:g} s", why="a hook may hang", subject=name
        ) from None
    except OSError as error:
        raise ContainerError(
            "cannot ask its supervisor", why=error.strerror or str(error), hint="see haconiwa ps", subject=name
        ) from None
    try:
        answer: dict[str, Any] = json.loads(packet or b'{"ok": false, "error": ["error: it closed the connection"]}')
    except ValueError as error:  # one of an earlier version lets the kernel cut what is too long
        raise ContainerError("cannot read its supervisor's answer", why=str(error), subject=name) from None
    if not answer["ok"]:
        raise _refusal(name, f'its supervisor refuses "{request["do"]}"', answer["error"])
    return answer


def _refusal(name: str, what: str, lines: list[str]) -> ContainerError:
    """The lines of a supervisor's error as one of ours, with the place and the hint that it gives."""
    found: dict[str, list[str]] = {"error": [], "at": [], "hint": []}
    for line in lines:
        word, _, text = line.strip().partition(": ")
        if word not in found:
            word, text = "error", line.strip()
        found[word].append(printable(text.removeprefix(f"{name}: ")))
    file, _, number = "".join(found["at"][:1]).partition(", called from ")[0].rpartition(":")
    where = Where(file, int(number)) if number.isascii() and number.isdigit() else None
    return ContainerError(what, why="; ".join(found["error"]), hint="; ".join(found["hint"]), where=where, subject=name)


def note(name: str, **details: object) -> None:
    """Let a supervisor know what is about to be done to its container, without waiting for it; nobody need be there."""
    try:
        with connect(name, 1.0) as connection:
            connection.send(json.dumps({"do": "note", **details}).encode())
    except OSError:
        pass
