"""Deciding system calls of other processes: the listener of a seccomp filter."""

from __future__ import annotations

import fcntl
import struct

from haconiwa.kernel.errors import SyscallError

_CALL = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, and struct seccomp_data
_RESPONSE = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, val, error, flags
_ID = struct.Struct("=Q")

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_SEND = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND
_ID_VALID = 0x40082102  # SECCOMP_IOCTL_NOTIF_ID_VALID
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


class Notification:
    """A call that waits for an answer.

    Attributes:
        id: Of this notification, for the answer.
        pid: The calling thread, as the reader's pid namespace sees it.
        number: Of the call, in its ABI.
        audit: The ``AUDIT_ARCH_*`` value of the ABI.
        arguments: Six, as 64-bit registers.
    """

    __slots__ = ("arguments", "audit", "id", "number", "pid")

    def __init__(self, fields: tuple[int, ...]) -> None:
        self.id, self.pid, _flags, number, self.audit, _pointer, *arguments = fields
        self.number = number & 0xFFFFFFFF
        self.arguments = tuple(arguments)


def notif_recv(listener_fd: int) -> Notification:
    """Takes the next waiting call; waits for one.

    Raises:
        SyscallError: ENOENT (the caller was killed meanwhile), EINTR.

    See: seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_RECV
    """
    return Notification(_CALL.unpack(_ioctl(listener_fd, "SECCOMP_IOCTL_NOTIF_RECV", _RECEIVE, bytes(_CALL.size))))


def notif_send(listener_fd: int, id: int, *, value: int = 0, error: int = 0, continues: bool = False) -> None:
    """Answers a call: it returns `value`, fails with the error number `error`, or is executed after all.

    Raises:
        SyscallError: ENOENT (the caller was killed or interrupted meanwhile), EINVAL, EINPROGRESS.

    See: seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_SEND
    """
    response = _RESPONSE.pack(id, value, -error, _CONTINUE if continues else 0)
    _ioctl(listener_fd, "SECCOMP_IOCTL_NOTIF_SEND", _SEND, response)


def notif_id_valid(listener_fd: int, id: int) -> bool:
    """Whether the caller still waits, so that its pid is still its own.

    See: seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_ID_VALID
    """
    try:
        _ioctl(listener_fd, "SECCOMP_IOCTL_NOTIF_ID_VALID", _ID_VALID, _ID.pack(id))
    except FileNotFoundError:
        return False
    return True


def _ioctl(fd: int, name: str, request: int, structure: bytes) -> bytes:
    try:
        return fcntl.ioctl(fd, request, structure)
    except OSError as error:
        raise SyscallError(error.errno or 0, f"ioctl({fd}, {name}, {{...}})") from None
