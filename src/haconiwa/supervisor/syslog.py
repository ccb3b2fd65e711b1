"""The log of the machine: journald where it runs, else a syslog daemon.

A barn that goes into the background opens it once, before there is any container, and its supervisors inherit the
connection; no other process ever uses it. Nothing waits: what the receiver does not take is lost.
See: systemd.journal-fields(7), the native journal protocol of systemd, RFC 3164, syslog(3)
"""

from __future__ import annotations

import os
import time
from _socket import AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM, socket

from haconiwa.errors import printable
from haconiwa.host.paths import journal_socket, syslog_socket

_DAEMON = 3  # the facility
_IDENTIFIER = "haconiwa"
_LONGEST_LINE = 4096
_MOST_LINES = 64


class Syslog:
    """A connection to it, for one process.

    Args:
        file: The haco file.
        journal: Path of journald's socket.
        syslog: Path of the syslog daemon's socket, which is used where there is no journald.
    """

    def __init__(self, file: str, journal: str, syslog: str) -> None:
        self._file = file
        self._name = ""
        self._pid = os.getpid()
        self._is_journal = True
        self._path = journal
        self._socket = _connect(journal)
        if self._socket is None:
            self._is_journal = False
            self._path = syslog
            self._socket = _connect(syslog)

    def take_over(self, name: str) -> None:
        """From now on it belongs to this process, the supervisor of the container of that name."""
        self._name, self._pid = name, os.getpid()

    def send(self, priority: int, lines: list[str]) -> None:
        """Send a message of some lines, as 3 for an error to 7, see syslog(3); in another process nothing."""
        if self._socket is None or os.getpid() != self._pid:
            return
        shown = [_cut(printable(line)) for line in lines[:_MOST_LINES]]
        packets = [self._entry(priority, shown)] if self._is_journal else [self._line(priority, one) for one in shown]
        for packet in packets:
            if not self._sent(packet):  # the daemon was started again, at the same path
                self._socket = _connect(self._path) or self._socket
                self._sent(packet)

    def _sent(self, packet: bytes) -> bool:
        """Send; false when nobody is at the other end any more."""
        try:
            if self._socket is not None:
                self._socket.send(packet, MSG_DONTWAIT | MSG_NOSIGNAL)
        except (ConnectionRefusedError, ConnectionResetError):
            return False
        except OSError:
            pass  # its queue is full
        return True

    def _entry(self, priority: int, lines: list[str]) -> bytes:
        fields = {
            "MESSAGE": "\n".join(lines),
            "PRIORITY": str(priority),
            "SYSLOG_FACILITY": str(_DAEMON),
            "SYSLOG_IDENTIFIER": _IDENTIFIER,
            "SYSLOG_PID": str(self._pid),
            "HACONIWA_FILE": printable(self._file),
        }
        if self._name:
            fields["HACONIWA_CONTAINER"] = self._name
        return b"".join(_field(name, _encode(value)) for name, value in fields.items())

    def _line(self, priority: int, text: str) -> bytes:
        when = time.strftime("%b %e %H:%M:%S")
        whose = f"{self._name}: " if self._name else ""
        return _encode(f"<{_DAEMON << 3 | priority}>{when} {_IDENTIFIER}[{self._pid}]: {whose}{text}")


def open_syslog(file: str) -> Syslog:
    """A connection for the barn of a haco file, to whatever of both there is."""
    return Syslog(file, journal_socket(), syslog_socket())


def _connect(path: str) -> socket | None:
    connection = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        connection.connect(path)
    except OSError:  # ENOENT, or not a socket of datagrams
        connection.close()
        return None
    return connection


def _field(name: str, value: bytes) -> bytes:
    """One field; a value of several lines has its length before it."""
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
