"""What is said to the kernel's packet filter without a program, in the caller's network namespace.

See: netlink(7), linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import errno
import struct
from _socket import SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, socket

from haconiwa.kernel.errors import SyscallError

_AF_NETLINK = 16
_NETLINK_NETFILTER = 12
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NFPROTO_INET = 1
_NESTED = 1 << 15  # NLA_F_NESTED
_GET_ELEMENT = 10 << 8 | 13  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_LIST_ELEMENT = _ELEMENT_KEY = _DATA_VALUE = 1
LARGEST = 1 << 16
"""Bytes of the longest answer that is read."""

NLMSG = struct.Struct("=IHHII")  # struct nlmsghdr
ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
NFGENMSG = struct.Struct("!BBH")


def open_netfilter() -> socket:
    """A non-blocking socket to the packet filter."""
    return socket(_AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, _NETLINK_NETFILTER)


def ask(connection: socket, kind: int, body: bytes, flags: int = 0) -> None:
    """Send a request and take its answer, which is there by the time it was sent.

    Args:
        connection: From `open_netfilter`.
        kind: The subsystem and its message.
        body: A struct nfgenmsg and its attributes.
        flags: NLM_F_ flags besides NLM_F_REQUEST.

    Raises:
        SyscallError: The kernel's refusal.
    """
    connection.send(NLMSG.pack(NLMSG.size + len(body), kind, _NLM_F_REQUEST | flags, 0, 0) + body)
    answer = connection.recv(LARGEST)
    if len(answer) < NLMSG.size + 4:
        raise SyscallError(errno.EIO, f"netfilter({kind:#x})")
    if NLMSG.unpack_from(answer)[1] == _NLMSG_ERROR:
        number: int = -struct.unpack_from("=i", answer, NLMSG.size)[0]
        if number:
            raise SyscallError(number, f"netfilter({kind:#x})")


def attribute(kind: int, value: bytes) -> bytes:
    """A struct nlattr with its value, padded."""
    data = ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value
    return data.ljust(aligned(len(data)), b"\0")


def aligned(length: int) -> int:
    """Where the next attribute or message begins."""
    return length + 3 & ~3


def has_element(table: str, set_name: str, key: bytes) -> bool:
    """Whether a set of nftables, in a table of the family inet, has an element.

    Args:
        table: The table's name.
        set_name: The set's; not one of intervals.
        key: The element as the kernel keeps it; an interface's name is filled up to 16 bytes.

    Returns:
        False also where the table, the set or nftables itself is missing, or the caller may not look.
    """
    element = _nested(_LIST_ELEMENT, _nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key)))
    body = NFGENMSG.pack(_NFPROTO_INET, 0, 0)
    body += attribute(_LIST_TABLE, table.encode() + b"\0") + attribute(_LIST_SET, set_name.encode() + b"\0")
    try:
        connection = open_netfilter()
    except OSError:
        return False
    try:
        ask(connection, _GET_ELEMENT, body + _nested(_LIST_ELEMENTS, element))
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _nested(kind: int, value: bytes) -> bytes:
    return attribute(kind | _NESTED, value)
