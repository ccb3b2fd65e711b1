"""Telling the service manager that started us how far we are.

See: sd_notify(3).
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.loop import Loop
    from haconiwa.supervisor.member import Member

_AGAIN_AFTER_S = 0.5


class Service:
    """The service that a barn is. Its variable is taken out of the environment: it means this process alone.

    What a service manager with a full queue does not take is kept for it, in order; nobody waits meanwhile.

    Args:
        members: The containers.
        loop: Calls back.
    """

    def __init__(self, members: list[Member], loop: Loop) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self._members = members
        self._loop = loop
        self._is_ready = False
        self._unsaid: list[str] = []

    def look(self) -> None:
        """Say once that every container is ready."""
        if not self._is_ready and all(member.ready for member in self._members):
            self._is_ready = True
            self._say(f"READY=1\nSTATUS={len(self._members)} of {len(self._members)} containers run")

    def stop(self) -> None:
        """Say that it is ending."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        self._unsaid.append(text)
        if len(self._unsaid) == 1:
            self._say_rest()

    def _say_rest(self) -> None:
        while self._unsaid:
            if not notify(self._address, self._unsaid[0]):
                self._loop.call_after(_AGAIN_AFTER_S, self._say_rest)
                return
            self._unsaid.pop(0)


def notify(address: str, text: str) -> bool:
    """Send assignments; a service manager is never waited for.

    Args:
        address: An absolute path, or a name that begins with ``@``. Nothing else is reached.
        text: Lines of assignments.

    Returns:
        False when its queue is full or we have no descriptor, true also when there is none.
    """
    if address[:1] not in ("/", "@"):
        return True
    with_name = os.fsencode(f"\0{address[1:]}" if address[0] == "@" else address)
    try:
        sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
    except OSError:
        return False  # no descriptor is left
    try:
        sender.sendto(text.encode(), with_name)
    except BlockingIOError:
        return False
    except OSError:
        pass  # it has gone away
    finally:
        sender.close()
    return True
