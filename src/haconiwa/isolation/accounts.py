"""Users and groups of the container, read from its own passwd and group files by bytes.

The C library's look-up would load modules from the container's root into this process.
See: passwd(5), group(5).
"""

from __future__ import annotations

from haconiwa.spec.record import Record

LARGEST_ID = 2**32 - 2


class Account(Record):
    """One line of passwd."""

    name: bytes
    uid: int
    gid: int
    home: bytes


def parse_passwd(content: bytes) -> list[Account]:
    """The well-formed lines of a passwd file, in order."""
    accounts = []
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) < 6 or not fields[0]:
            continue
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None:
            accounts.append(Account(name=fields[0], uid=uid, gid=gid, home=fields[5]))
    return accounts


def parse_group(content: bytes) -> dict[bytes, int]:
    """Group ids by name in the well-formed lines of a group file; the first line of a name counts."""
    groups: dict[bytes, int] = {}
    for line in content.split(b"\n"):
        fields = line.split(b":")
        gid = _number(fields[2]) if len(fields) > 2 and fields[0] else None
        if gid is not None:
            groups.setdefault(fields[0], gid)
    return groups


def _number(text: bytes) -> int | None:
    if not text.isdigit() or len(text) > 10:
        return None
    number = int(text)
    return number if number <= LARGEST_ID else None
