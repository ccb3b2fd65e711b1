"""The ranges of subordinate ids that the administrator set aside for a user.

See: subuid(5), subgid(5).
"""

from __future__ import annotations

from haconiwa.errors import HostError
from haconiwa.host.paths import subid_file
from haconiwa.spec.values import ID_MAX

_FIRST = 100_000
"""Where distributions begin to give out such ids."""
_SUGGESTED = 16 * 65536


def subid_ranges(kind: str, owners: frozenset[str]) -> list[tuple[int, int]]:
    """The ranges of some users, as (first id, how many), in the order of the file; malformed lines are passed over.

    Args:
        kind: ``uid`` or ``gid``.
        owners: Names and numbers of users, as the lines begin.
    """
    return [(start, count) for owner, start, count in _lines(kind) if owner in owners]


def line_to_add(kind: str, owner: str) -> str:
    """A line that would give an owner a range which nobody has yet."""
    start = max([_FIRST, *(first + count for _, first, count in _lines(kind))])
    return f"{owner}:{start}:{_SUGGESTED}"


def _lines(kind: str) -> list[tuple[str, int, int]]:
    try:
        with open(subid_file(kind), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        fields = line.strip().split(":")
        if len(fields) != 3 or not all(field.isascii() and field.isdigit() for field in fields[1:]):
            continue
        start, count = int(fields[1]), int(fields[2])
        if count and start + count - 1 <= ID_MAX:
            found.append((fields[0], start, count))
    return found


def has_one_id() -> bool:
    """Whether this process is in a user namespace that has no ids but one, so that no file can be given away."""
    for kind in ("uid", "gid"):
        with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
            if [line.split()[2] for line in file] == ["1"]:
                return True
    return False


def own_names(uid: int) -> frozenset[str]:
    """How the lines of a user may begin: its number and its names. Root may also use those of a user "haconiwa".

    The host's passwd is read here and not by the C library, which would load modules for it; a program asks that for a
    user whom the file does not have, as where accounts come over the network.
    """
    names = {str(uid)} | ({"haconiwa"} if uid == 0 else set())
    try:
        with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(":") for line in file]
    except OSError:
        fields = []
    named = {line[0] for line in fields if len(line) > 2 and line[2] == str(uid)} or _name_elsewhere(uid)
    return frozenset(names | named)


def _name_elsewhere(uid: int) -> set[str]:
    from haconiwa.host.tools import run_tool

    try:
        return {run_tool(f"look up the user {uid}", "getent", "passwd", str(uid)).partition(":")[0]}
    except HostError:
        return set()  # nobody knows it, or there is no such program


def shown_owner(uid: int) -> str:
    """The name to suggest for a line of a user."""
    names = sorted(name for name in own_names(uid) if not name.isdigit())
    return "haconiwa" if uid == 0 else (names or [str(uid)])[0]
