"""What goes through the interfaces of a container. See: proc_pid_net(5)."""

from __future__ import annotations

import os

from haconiwa.spec.record import Record

_LARGEST = 1 << 20
_MOST_INTERFACES = 64
_LOOPBACK = "lo"
_SENT = 8  # its place among the counters of an interface; received bytes are the first


class Interface(Record):
    """One interface; its name is the container's choice, and may hold anything but spaces, colons and slashes."""

    name: str
    received_bytes: int
    sent_bytes: int


class Traffic(Record):
    """Totals since the network namespace was made.

    Attributes:
        received_bytes: Over all interfaces but the loopback.
        sent_bytes: The same.
        interfaces: The first 64, the loopback among them.
    """

    received_bytes: int
    sent_bytes: int
    interfaces: tuple[Interface, ...] = ()


def read_traffic(pid: int) -> Traffic | None:
    """The counters of the network namespace that a process is in; None when that is this process's own.

    Raises:
        OSError: The process has ended, or may not be looked at.
    """
    if os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.stat("/proc/self/ns/net")):
        return None
    with open(f"/proc/{pid}/net/dev", "rb") as file:
        return parse_traffic(file.read(_LARGEST).decode("utf-8", "backslashreplace"))


def parse_traffic(text: str) -> Traffic:
    """The counters in the text of /proc/PID/net/dev, whose lines are ``NAME: RECEIVED … SENT …``."""
    found = []
    for line in text.split("\n"):
        name, colon, counters = line.strip(" ").partition(":")
        fields = counters.split()
        if colon and len(fields) > _SENT and all(field.isascii() and field.isdigit() for field in fields):
            found.append(Interface(name=name, received_bytes=int(fields[0]), sent_bytes=int(fields[_SENT])))
    outer = [interface for interface in found if interface.name != _LOOPBACK]
    return Traffic(
        received_bytes=sum(interface.received_bytes for interface in outer),
        sent_bytes=sum(interface.sent_bytes for interface in outer),
        interfaces=tuple(found[:_MOST_INTERFACES]),
    )
