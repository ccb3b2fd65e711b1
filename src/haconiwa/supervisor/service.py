"""Telling the service manager that started us how far we are.

See: sd_notify(3).
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.supervisor.member import Member


class Service:
    """The service that a barn is. Its variable is taken out of the environment: it means this process alone.

    Args:
        members: The containers.
    """

    def __init__(self, members: list[Member]) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self._members = members
        self._is_ready = False

    def look(self) -> None:
        """Say once that every container is ready."""
        if not self._is_ready and all(member.ready for member in self._members):
            self._is_ready = True
            notify(self._address, "READY=1", f"STATUS={len(self._members)} of {len(self._members)} containers run")

    def stop(self) -> None:
        """Say that it is ending."""
        notify(self._address, "STOPPING=1")


def notify(address: str, *lines: str) -> None:
    """Send assignments; a service manager that is not there is not waited for.

    Args:
        address: An absolute path, or a name that begins with ``@``. Nothing else is reached.
        lines: Assignments.
    """
    if address[:1] not in ("/", "@"):
        return
    with_name = os.fsencode(f"\0{address[1:]}" if address[0] == "@" else address)
    sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        sender.sendto("\n".join(lines).encode(), with_name)
    except OSError:
        pass  # it has gone away
    finally:
        sender.close()
