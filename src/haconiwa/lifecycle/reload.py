"""What a reload changes in a running container, all of it or nothing: resource limits and control groups.

A resource limit belongs to each process and is inherited, so it is set for every process of the container, one that is
born meanwhile included. What the file does not limit any more becomes what a process of the supervisor's would have.
See: prlimit(2)
"""

from __future__ import annotations

import resource

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.reload_cgroup import cgroup_differences
from haconiwa.spec.model import RlimitSpec
from haconiwa.spec.record import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from haconiwa.spec.model import ContainerSpec

    Pair = tuple[int, int]

FEATURES = {"cgroup": "cgroup", "resource": "rlimits"}
"""The words of `support_reload`, and the field of a container's configuration that each stands for."""

_IGNORED = frozenset({"init_command", "name", "sources", *FEATURES.values()})
"""Fields that differ for other reasons: the command line of the start may have had another command."""


def reload_data(spec: ContainerSpec) -> dict[str, Any]:
    """The part of a container's configuration that a reload can change, as plain values."""
    return {field: to_plain(getattr(spec, field)) for field in FEATURES.values()}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a reload would change, in words, by the words of `support_reload`.

    Args:
        old: The container's configuration, with plain values.
        new: What `reload_data` returned.
    """
    before, after = _limits(old["rlimits"]), _limits(new["rlimits"])
    found = {"cgroup": cgroup_differences(old["cgroup"], new["cgroup"])}
    found["resource"] = [
        f"{name}: {_shown(before.get(name))} -> {_shown(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return {word: lines for word, lines in found.items() if lines}


def other_differences(config: Mapping[str, Any], spec: ContainerSpec, but: Iterable[str] = ()) -> list[str]:
    """The settings that differ and that a reload leaves alone, wherever in the file they are made.

    Args:
        config: The container's configuration, with plain values.
        spec: What the file says now.
        but: Fields to leave out.
    """
    new, old = (_without_places(plain) for plain in (to_plain(spec), config))
    ignored = {*_IGNORED, *but}
    return sorted(key for key in {*new, *old} if key not in ignored and new.get(key) != old.get(key))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key != "where"}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value


def _limits(plain: list[dict[str, Any]]) -> dict[str, tuple[int | None, int | None]]:
    return {limit["name"]: (limit["soft"], limit["hard"]) for limit in plain}


def _shown(limit: tuple[int | None, int | None] | None) -> str:
    if limit is None:
        return "not set"
    return ", hard ".join("unlimited" if value is None else str(value) for value in limit)


def apply_rlimits(old: list[dict[str, Any]], new: list[dict[str, Any]], pids: Callable[[], list[int]]) -> None:
    """Set the limits that differ for every process, or none.

    Args:
        old: The limits so far, as plain values.
        new: Those to come.
        pids: The processes at the moment of the call.

    Raises:
        ContainerError: One cannot be set; all are as they were.
    """
    before, after = _limits(old), _limits(new)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    wanted = {_number(name): _pair(name, after.get(name)) for name in names}
    done: list[tuple[int, int, Pair]] = []
    seen: set[int] = set()
    try:
        while fresh := [pid for pid in pids() if pid not in seen]:
            seen.update(fresh)
            for pid in fresh:
                _set_all(pid, wanted, done)
    except (OSError, ValueError, OverflowError) as error:
        for pid, number, pair in reversed(done):
            _restore(pid, number, pair)
        raise ContainerError(
            f"cannot set the limits {' '.join(sorted(names))}",
            why=str(getattr(error, "strerror", "") or error),
            hint="a hard limit can be raised only with CAP_SYS_RESOURCE, which this host may not give",
        ) from None


def _set_all(pid: int, wanted: Mapping[int, Pair], done: list[tuple[int, int, Pair]]) -> None:
    """Raise hard limits before any is lowered: only raising can be refused, and only lowering cannot be undone."""
    try:
        now = {number: resource.prlimit(pid, number) for number in wanted}
        raised = [number for number in wanted if _is_more(wanted[number][1], now[number][1])]
        for number in (*raised, *(number for number in wanted if number not in raised)):
            resource.prlimit(pid, number, wanted[number])
            done.append((pid, number, now[number]))
    except ProcessLookupError:
        return  # it has ended meanwhile


def _is_more(value: int, other: int) -> bool:
    return other != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > other)


def _restore(pid: int, number: int, pair: Pair) -> None:
    try:
        resource.prlimit(pid, number, pair)
    except OSError:
        pass  # it has ended; what was raised can always be lowered again


def _number(name: str) -> int:
    number: int = getattr(resource, f"RLIMIT_{name}")
    return number


def _pair(name: str, limit: tuple[int | None, int | None] | None) -> Pair:
    if limit is None:
        return resource.getrlimit(_number(name))
    soft, hard = (resource.RLIM_INFINITY if value is None else value for value in limit)
    return soft, hard


def rlimit_specs(plain: object) -> tuple[RlimitSpec, ...]:
    """Limits as records again.

    Raises:
        ValueError: They are none.
    """
    if not isinstance(plain, list):
        raise ValueError(f"no list of limits: {plain}")
    for limit in plain:
        if not (isinstance(limit, dict) and _is_limit(limit)):
            raise ValueError(f"no limit: {limit}")
    return tuple(RlimitSpec(name=limit["name"], soft=limit["soft"], hard=limit["hard"]) for limit in plain)


def _is_limit(plain: Mapping[str, object]) -> bool:
    name = plain.get("name")
    if not (isinstance(name, str) and hasattr(resource, f"RLIMIT_{name}") and {"soft", "hard"} <= {*plain}):
        return False
    return all(value is None or (type(value) is int and value >= 0) for value in (plain["soft"], plain["hard"]))
