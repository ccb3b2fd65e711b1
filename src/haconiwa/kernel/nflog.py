"""Packets that a rule of nftables logs to a group, read without any daemon.

See: netlink(7), linux/netfilter/nfnetlink_log.h.
"""

from __future__ import annotations

import errno
import struct
from _socket import AF_UNSPEC

from haconiwa.kernel.netfilter import ATTRIBUTE, LARGEST, NFGENMSG, NLMSG, aligned, ask, attribute, open_netfilter

_NLM_F_ACK = 4
_ULOG = 4 << 8  # NFNL_SUBSYS_ULOG
_MSG_PACKET, _MSG_CONFIG = _ULOG, _ULOG | 1
_CFG_CMD, _CFG_MODE, _CFG_QTHRESH, _PAYLOAD = 1, 2, 5, 9
_CMD_BIND = b"\x01"
_COPY_PACKET = 2


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
        self._socket = open_netfilter()
        self.fd = self._socket.fileno()
        mode = struct.pack("!IBx", copied, _COPY_PACKET)
        at_once = struct.pack("!I", 1)
        try:
            for one in (
                attribute(_CFG_CMD, _CMD_BIND),
                attribute(_CFG_MODE, mode),
                attribute(_CFG_QTHRESH, at_once),
            ):
                ask(self._socket, _MSG_CONFIG, NFGENMSG.pack(AF_UNSPEC, 0, group) + one, _NLM_F_ACK)
        except BaseException:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """The first bytes of the packets logged since the last call, from the IP header on."""
        found: list[bytes] = []
        while True:
            try:
                data = self._socket.recv(LARGEST)
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
    while len(data) >= NLMSG.size:
        length, kind, *_ = NLMSG.unpack_from(data)
        if length < NLMSG.size:
            break
        if kind == _MSG_PACKET:
            payload = _attributes(data[NLMSG.size + NFGENMSG.size : length]).get(_PAYLOAD)
            if payload is not None:
                found.append(payload)
        data = data[aligned(length) :]
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[ATTRIBUTE.size : length]
        data = data[aligned(length) :]
    return found
