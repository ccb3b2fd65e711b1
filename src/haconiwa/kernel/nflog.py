"""Packets that a rule of nftables logs to a group, read without any daemon.

See: netlink(7), linux/netfilter/nfnetlink_log.h.
"""

from __future__ import annotations

import errno
import struct
from _socket import AF_UNSPEC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, socket

from haconiwa.kernel.errors import SyscallError

_AF_NETLINK = 16
_NETLINK_NETFILTER = 12
_NLMSG = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_NFGENMSG = struct.Struct("!BBH")
_NLM_F_REQUEST, _NLM_F_ACK, _NLMSG_ERROR = 1, 4, 2
_ULOG = 4 << 8  # NFNL_SUBSYS_ULOG
_MSG_PACKET, _MSG_CONFIG = _ULOG, _ULOG | 1
_CFG_CMD, _CFG_MODE, _CFG_QTHRESH, _PAYLOAD = 1, 2, 5, 9
_CMD_BIND = b"\x01"
_COPY_PACKET = 2
_LARGEST = 1 << 16


class PacketLog:
    """One group of the calling process's network namespace; readable when a packet was logged.

    Args:
        group: Its number.
        copied: How many bytes of each packet are wanted.

    Attributes:
        fd: Non-blocking.

    Raises:
        SyscallError: EPERM (no CAP_NET_ADMIN, or somebody else has the group), ENOENT or EOPNOTSUPP or EINVAL (the
            kernel lacks nfnetlink_log).
    """

    def __init__(self, group: int, copied: int = 64) -> None:
        self._socket = socket(_AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self.fd = self._socket.fileno()
        try:
            mode = struct.pack("!IBx", copied, _COPY_PACKET)
            at_once = struct.pack("!I", 1)
            for attribute in (
                _packed(_CFG_CMD, _CMD_BIND),
                _packed(_CFG_MODE, mode),
                _packed(_CFG_QTHRESH, at_once),
            ):
                self._configure(group, attribute)
        except BaseException:
            self.close()
            raise

    def _configure(self, group: int, attribute: bytes) -> None:
        body = _NFGENMSG.pack(AF_UNSPEC, 0, group) + attribute
        flags = _NLM_F_REQUEST | _NLM_F_ACK
        self._socket.send(_NLMSG.pack(_NLMSG.size + len(body), _MSG_CONFIG, flags, 0, 0) + body)
        answer = self._socket.recv(_LARGEST)  # the kernel has answered by the time it was sent
        number = -struct.unpack_from("=i", answer, _NLMSG.size)[0] if len(answer) >= _NLMSG.size + 4 else errno.EIO
        if _NLMSG.unpack_from(answer)[1] != _NLMSG_ERROR or number:
            raise SyscallError(number or errno.EIO, f"bind to the group {group} of nfnetlink_log")

    def read(self) -> list[bytes]:
        """The first bytes of the packets logged since the last call, from the IP header on."""
        found: list[bytes] = []
        while True:
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more came than there was room for
                    raise
                continue
            found += payloads(data)

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()


def payloads(data: bytes) -> list[bytes]:
    """The packets in what the kernel sent."""
    found = []
    while len(data) >= _NLMSG.size:
        length, kind, *_ = _NLMSG.unpack_from(data)
        if length < _NLMSG.size:
            break
        if kind == _MSG_PACKET:
            payload = _attributes(data[_NLMSG.size + _NFGENMSG.size : length]).get(_PAYLOAD)
            if payload is not None:
                found.append(payload)
        data = data[_aligned(length) :]
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def _packed(kind: int, value: bytes) -> bytes:
    data = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return data.ljust(_aligned(len(data)), b"\0")


def _aligned(length: int) -> int:
    return length + 3 & ~3
