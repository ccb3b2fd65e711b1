"""A range of subordinate ids for each container of root's that asks for one by ``namespace.map_ids("auto")``.

A name keeps its range from start to start, because the files of its root may belong to it. Who has which is one text
file, changed only under a lock. When all ranges are given out, that of a container that does not run is given away.
See: subuid(5), user_namespaces(7).
"""

from __future__ import annotations

import fcntl
import os

from haconiwa.errors import HostError
from haconiwa.host.descriptors import write_beside
from haconiwa.host.paths import lib_dir, subid_file
from haconiwa.host.subids import line_to_add, own_names, shown_owner, subid_ranges
from haconiwa.lifecycle.damaged import damaged_in_use
from haconiwa.lifecycle.state import list_states, live_status
from haconiwa.spec.model import IdMapping
from haconiwa.spec.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from haconiwa.errors import Where
    from haconiwa.spec.model import BarnSpec, ContainerSpec

    Span = tuple[int, int]


class IdRange(Record):
    """What one name has: as many user as group ids, from their first on."""

    uid: int
    gid: int
    size: int


def take_id_ranges(barn: BarnSpec, *, keep: bool = True) -> BarnSpec:
    """The barn with id maps for those of its containers that want a free range.

    Args:
        barn: Its containers.
        keep: Record what is given out; otherwise it is only what a start would take.

    Raises:
        HostError: There is no range, or none is free.
    """
    if not any(container.auto_ids for container in barn.containers):
        return barn
    if not keep:
        return _with_ranges(barn, _read(_range_file()))
    os.makedirs(lib_dir(), mode=0o755, exist_ok=True)
    lock_fd = os.open(_range_file() + ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        given = _read(_range_file())
        before = dict(given)
        result = _with_ranges(barn, given)
        if given != before:
            lines = [f"{name} {own.uid} {own.gid} {own.size}\n" for name, own in given.items()]
            write_beside(_range_file(), "".join(lines))
        return result
    finally:
        os.close(lock_fd)


def _range_file() -> str:
    return os.path.join(lib_dir(), "id-ranges")


def _read(path: str) -> dict[str, IdRange]:
    """Who has what; lines that cannot be read count as not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            fields = [line.split() for line in file]
    except FileNotFoundError:
        return {}
    return {
        line[0]: IdRange(uid=int(line[1]), gid=int(line[2]), size=int(line[3]))
        for line in fields
        if len(line) == 4 and all(field.isascii() and field.isdigit() for field in line[1:])
    }


def _with_ranges(barn: BarnSpec, given: dict[str, IdRange]) -> BarnSpec:
    containers = []
    for container in barn.containers:
        if container.auto_ids:
            own = _range_of(container, given)
            container = replace(  # noqa: PLW2901 - the same container, complete
                container, uid_mappings=(IdMapping(container_id=0, host_id=own.uid, size=own.size),),
                gid_mappings=(IdMapping(container_id=0, host_id=own.gid, size=own.size),),
            )  # fmt: skip
        containers.append(container)
    return replace(barn, containers=tuple(containers))


def _range_of(container: ContainerSpec, given: dict[str, IdRange]) -> IdRange:
    """The range a name has, or a free one, which is added to those given."""
    where = container.sources.get("namespace.map_ids")
    allowed = {kind: _allowed(kind, where) for kind in ("uid", "gid")}
    own = given.get(container.name)
    if own is not None and own.size == container.auto_ids and _still_allowed(own, allowed):
        return own
    given.pop(container.name, None)
    running = [state for state in list_states() if state.name != container.name and live_status(state) != "stopped"]
    used = {kind: _spans_of_running([state.config for state in running], kind) for kind in ("uid", "gid")}
    names = {state.name for state in running} | {error.subject for error in damaged_in_use()}
    spare = [name for name in given if name not in names]
    while True:
        spans = {kind: used[kind] + [(getattr(own, kind), own.size) for own in given.values()] for kind in used}
        found = {kind: _first_free(allowed[kind], spans[kind], container.auto_ids) for kind in spans}
        if found["uid"] is not None and found["gid"] is not None:
            own = IdRange(uid=found["uid"], gid=found["gid"], size=container.auto_ids)
            given[container.name] = own
            return own
        if not spare:
            kind = "uid" if found["uid"] is None else "gid"
            raise _none_free(kind, container.auto_ids, where)
        given.pop(spare.pop(0))


def _allowed(kind: str, where: Where | None) -> list[Span]:
    ranges = subid_ranges(kind, own_names(0))
    if not ranges:
        raise HostError(
            "cannot find ids for map_ids",
            why=f'"{subid_file(kind)}" has no range for root or haconiwa',
            hint=f'add the line "{line_to_add(kind, shown_owner(0))}" to it',
            where=where,
        )
    return ranges


def _still_allowed(own: IdRange, allowed: dict[str, list[Span]]) -> bool:
    return all(
        any(first <= getattr(own, kind) and getattr(own, kind) + own.size <= first + count for first, count in ranges)
        for kind, ranges in allowed.items()
    )


def _spans_of_running(configs: list[Mapping[str, Any]], kind: str) -> list[Span]:
    return [(m["host_id"], m["size"]) for config in configs for m in config.get(f"{kind}_mappings", ())]


def _first_free(ranges: list[Span], used: list[Span], size: int) -> int | None:
    """The lowest start of that many ids in one of the ranges that no used span touches."""
    for first, count in ranges:
        start = first
        for used_first, used_count in sorted(used):
            if used_first < start + size and start < used_first + used_count:
                start = used_first + used_count
        if start + size <= first + count:
            return start
    return None


def _none_free(kind: str, size: int, where: Where | None) -> HostError:
    return HostError(
        "cannot find ids for map_ids",
        why=f'"{subid_file(kind)}" has no {size} ids in a row that no running container uses',
        hint="add a line to it, or ask for fewer with size=",
        where=where,
    )
