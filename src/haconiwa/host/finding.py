"""One thing that was looked at on this machine."""

from __future__ import annotations

from haconiwa.spec.record import Record


class Finding(Record):
    """One thing that was looked at.

    Attributes:
        group: What it belongs to.
        name: What it is.
        ok: Whether it is there.
        needed: Every container needs it; all else only who asks for it.
        detail: Its version, number or kind; why it is not there.
        change: What to do about it when it is missing.
    """

    group: str
    name: str
    ok: bool
    needed: bool = False
    detail: str = ""
    change: str = ""
