"""What an ordinary user may map into a user namespace: its own id, and the ids that are set aside for it.

See: newuidmap(1), subuid(5), user_namespaces(7).
"""

from __future__ import annotations

import os

from haconiwa.errors import HostError
from haconiwa.host.paths import subid_file
from haconiwa.host.subids import line_to_add, own_names, shown_owner, subid_ranges
from haconiwa.host.tools import find_program
from haconiwa.spec.model import IdMapping
from haconiwa.spec.values import ID_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where

KINDS = ("uid", "gid")


def own_id(kind: str) -> int:
    """The caller's own user or group id."""
    return os.geteuid() if kind == "uid" else os.getegid()


def own_mappings(kind: str, size: int = ID_MAX) -> tuple[IdMapping, ...]:
    """A map in which the caller is id 0, followed by its subordinate ids, as many as there are.

    All containers of a user have the same: root in each of them is that user anyway.

    Args:
        kind: ``uid`` or ``gid``.
        size: Most ids.
    """
    mappings = [IdMapping(container_id=0, host_id=own_id(kind), size=1)]
    inside = 1
    for first, count in subid_ranges(kind, own_names(os.geteuid())):
        if inside < size:
            count = min(count, size - inside)  # noqa: PLW2901 - of this range only what is still wanted
            mappings.append(IdMapping(container_id=inside, host_id=first, size=count))
            inside += count
    return tuple(mappings)


def is_own_id(kind: str, mappings: tuple[IdMapping, ...]) -> bool:
    """Whether a map has nothing but the caller's own id, which the kernel takes without the help of a program."""
    return [(m.host_id, m.size) for m in mappings] == [(own_id(kind), 1)]


def require_own(kind: str, mappings: tuple[IdMapping, ...], where: Where | None) -> None:
    """Refuse a map that newuidmap or newgidmap would refuse, and say why.

    Raises:
        HostError: An id is not the caller's, or the program is missing.
    """
    if is_own_id(kind, mappings):
        return
    ranges = subid_ranges(kind, own_names(os.geteuid()))
    for mapping in mappings:
        if (mapping.host_id, mapping.size) != (own_id(kind), 1) and not _covered(mapping, ranges):
            raise _not_own(kind, mapping, ranges, where)
    find_program(f"new{kind}map")


def _covered(mapping: IdMapping, ranges: list[tuple[int, int]]) -> bool:
    """Whether every id of a line is in one of the ranges; they may touch each other."""
    at, end = mapping.host_id, mapping.host_id + mapping.size
    for first, count in sorted(ranges):
        if first <= at < first + count:
            at = first + count
    return at >= end


def _not_own(kind: str, mapping: IdMapping, ranges: list[tuple[int, int]], where: Where | None) -> HostError:
    owner = shown_owner(os.geteuid())
    given = ", ".join(f"{first}-{first + count - 1}" for first, count in ranges)
    file = subid_file(kind)
    return HostError(
        f"user {owner} may not map the {kind}s {mapping.host_id}-{mapping.host_id + mapping.size - 1}",
        why=f'"{file}" gives it only {given}' if given else f'"{file}" has no range for it',
        hint=f'map_ids("auto") maps what there is; root can add the line "{line_to_add(kind, owner)}"',
        where=where,
    )
