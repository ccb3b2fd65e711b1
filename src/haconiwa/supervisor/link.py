"""What a supervisor and its barn tell each other, over one SOCK_SEQPACKET pair.

supervisor                       barn
``U`` + pid ──────────────────▶  the container's program runs, and its hooks for that are done
``R`` ────────────────────────▶  it is ready
``N`` ────────────────────────▶  it never got ready
``F`` + exit status + lines ──▶  the start failed, with the message for the user
``M`` + text ─────────────────▶  a message for the user, in order with the rest (only where a terminal is relayed)
``T`` + descriptor ───────────▶  the master of the container's terminal (sent by the container's process)
``E`` ────────────────────────▶  it is done: nothing is left to clear up
     ◀──────────────────── ``I``  end the container at once: whoever wants it stopped has asked again
end of file ──────────────────▶  the supervisor has ended; without ``E`` it died
"""

from __future__ import annotations

import os
import sys
from _socket import AF_UNIX, CMSG_LEN, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, SOCK_SEQPACKET, socketpair

from haconiwa.errors import HaconiwaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

UP = b"U"
FAILED = b"F"
READY = b"R"
NEVER_READY = b"N"
MESSAGE = b"M"
ENDED = b"E"
INSIST = b"I"
_MESSAGE_SIZE = 65536
_INT_SIZE = 4


def make_link() -> tuple[socket, socket]:
    """The barn's end and the supervisor's."""
    barn_end, supervisor_end = socketpair(AF_UNIX, SOCK_SEQPACKET)
    return barn_end, supervisor_end


def send_up(link: socket, pid: int) -> None:
    """Tell the barn that the container runs. A barn that is gone is nobody to tell."""
    _send(link, UP + str(pid).encode())


def send_readiness(link: socket, ready: bool) -> None:
    """Tell the barn that the container is ready, or never will be."""
    _send(link, READY if ready else NEVER_READY)


def send_message(link: socket, text: str) -> None:
    """Let the barn show a message, after what the program has printed so far."""
    _send(link, MESSAGE + text.encode("utf-8", "surrogateescape"))


def send_failure(link: socket, error: HaconiwaError) -> None:
    """Tell the barn why the start failed."""
    text = "\n".join([str(error.exit_status), *error.lines()])
    _send(link, FAILED + text.encode("utf-8", "surrogateescape")[: _MESSAGE_SIZE // 2])


def send_ended(link: socket) -> None:
    """Tell the barn that the supervisor ends as it should, and has cleared up."""
    _send(link, ENDED)


def send_insist(link: socket) -> None:
    """Let a supervisor that was told to stop do so at once; no signal, since two of them may be one that came twice."""
    _send(link, INSIST)


def _send(link: socket, message: bytes) -> None:
    try:
        os.write(link.fileno(), message)
    except (BrokenPipeError, ConnectionResetError):
        pass


def receive(link: socket) -> tuple[bytes, bytes, int]:
    """The next message.

    Returns:
        Its first byte, the rest, and a descriptor or -1. The first byte is empty when there is none: at the end of
        file, or when only a process that a hook forked still holds the other end.
    """
    flags = MSG_CMSG_CLOEXEC | MSG_DONTWAIT
    try:
        message, ancillary, _flags, _address = link.recvmsg(_MESSAGE_SIZE, CMSG_LEN(_INT_SIZE), flags)
    except (ConnectionResetError, BlockingIOError):
        return b"", b"", -1
    fd = -1
    for _level, _type, data in ancillary:
        fd = int.from_bytes(data[:_INT_SIZE], sys.byteorder)
    return message[:1], message[1:], fd
