"""What a reload changes in the control groups of a running container, all of it or nothing.

What the file does not limit any more becomes what a new group has. Where that is not known, or the change needs a group
that the container does not have, only a start can do it, and says so before anything is written.
"""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError, HaconiwaError, describe_errno
from haconiwa.host.cgroups import hierarchies
from haconiwa.isolation.cgroup_limits import Limit, WriteLimit, resolve
from haconiwa.isolation.cgroup_tree import enable_controllers
from haconiwa.spec.cgroup_keys import controller
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from haconiwa.spec.cgroup_values import Lines

_DEFAULTS = {
    1: {
        "cpu.shares": "1024", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.cfs_burst_us": "0",
        "memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1", "memory.soft_limit_in_bytes": "-1",
        "pids.max": "max",
    },
    2: {
        "cpu.max": "max 100000", "cpu.max.burst": "0", "cpu.weight": "100", "memory.max": "max", "memory.high": "max",
        "memory.low": "0", "memory.min": "0", "memory.swap.max": "max", "memory.swap.high": "max",
        "memory.oom.group": "0", "pids.max": "max", "cpuset.cpus": "\n", "cpuset.mems": "\n",
        "cgroup.max.depth": "max", "cgroup.max.descendants": "max",
    },
}  # fmt: skip
"""What the files of a new group say, by version, where that is the same on every host."""

_SWAP_TOO = "memory.memsw.limit_in_bytes"
_PER_DEVICE = ("io.", "blkio.")
_START = "stop it and start it again"


def cgroup_spec(plain: Mapping[str, Any] | None) -> CgroupSpec:
    """The groups of a container from plain values; without places in the file.

    Raises:
        ValueError, KeyError, TypeError: They are none.
    """
    if plain is None:
        return CgroupSpec()
    name, assign_only = plain["name"], plain["assign_only"]
    if not (isinstance(name, str) and isinstance(assign_only, bool)):
        raise ValueError(f"no name of a group, or no assign_only: {name!r}, {assign_only!r}")
    return CgroupSpec(name=name, settings=tuple(map(_setting, plain["settings"])), assign_only=assign_only)


def _setting(plain: Mapping[str, Any]) -> CgroupSetting:
    key, lines, version = plain["key"], plain["lines"], plain["version"]
    if not (isinstance(key, str) and isinstance(lines, (list, tuple)) and all(isinstance(line, str) for line in lines)):
        raise ValueError(f"no cgroup setting: {plain}")
    if version is not None and not (type(version) is int and version in (1, 2)):
        raise ValueError(f"no version of cgroups: {version!r}")
    return CgroupSetting(key=key, lines=tuple(lines), version=version)


def cgroup_differences(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[str]:
    """What a reload would change, in words."""
    before, after = (_shown_by_name(cgroup_spec(plain)) for plain in (old, new))
    return [
        f"{name}: {before.get(name, 'not set')} -> {after.get(name, 'not set')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _shown_by_name(spec: CgroupSpec) -> dict[str, str]:
    """All settings in words; rules for devices are added to each other."""
    found: dict[str, list[str]] = {}
    for setting in spec.settings:
        found.setdefault(setting.named(), []).extend(setting.lines)
    shown = {name: ", ".join(line.strip() or "empty" for line in lines) for name, lines in found.items()}
    return {**shown, "cgroup_name": spec.name or "its name", 'cgroup("v2").assign_only': str(spec.assign_only)}


class Change:
    """One file of a group that a reload writes, and can write back.

    Args:
        group: Absolute path.
        limit: What is written.
        before: What was written before, or would be in a new group.
    """

    def __init__(self, name: str, limit: Limit, before: Lines) -> None:
        self.after = WriteLimit(limit, name)
        self._before = WriteLimit(replace(limit, lines=before), name)

    @property
    def raises(self) -> bool:
        """Whether the limit is given up or becomes a higher number."""
        new, old = (step.limit.lines[0] for step in (self.after, self._before))
        return new == "-1" or (old != "-1" and int(new) > int(old))

    def make(self) -> None:
        """Write it.

        Raises:
            ContainerError: The kernel refuses.
        """
        group, limit = self.after.group, self.after.limit
        if limit.hierarchy.version == 2 and not os.path.exists(f"{group}/{limit.key}"):
            enable_controllers(group, (controller(limit.key),))
        try:
            self.after.write()
        except OSError as error:
            raise ContainerError(
                f"cannot {self.after.describe()}",
                why=describe_errno(error.errno or 0),
                hint=self.after.hint(error.errno or 0),
            ) from None

    def take_back(self) -> None:
        """Write what was there before."""
        try:
            self._before.write()
        except OSError:
            pass  # the file is gone, and so is the limit


def plan_changes(old: CgroupSpec, new: CgroupSpec, container: str, paths: tuple[str, ...]) -> list[Change]:
    """The files to write, in an order that the kernel accepts.

    Args:
        old: What the file said.
        new: What it says now.
        container: Its name.
        paths: The groups that it has.

    Raises:
        HaconiwaError: The host cannot do it, or only a start can.
    """
    if _apart(old) != _apart(new):
        raise _only_a_start("its name, its rules for devices, or assign_only have changed")
    found = hierarchies()
    before, after = ({_file(limit): limit for limit in resolve(spec, found)} for spec in (old, new))
    name = old.name or container
    changes = []
    for file in {**before, **after}:
        limit, was = after.get(file) or before[file], before.get(file)
        if file in after and was is not None and was.lines == limit.lines:
            continue
        if limit.hierarchy.group(name) not in paths:
            raise _only_a_start(f"it has no group of the controller {controller(limit.key)}")
        wanted = limit.lines if file in after else _default(limit)
        was_lines = was.lines if was else _default(limit)
        if limit.key.startswith(_PER_DEVICE) and _devices(wanted) != _devices(was_lines):
            raise _only_a_start(f"the devices of {limit.key} are others")
        changes.append(Change(name, replace(limit, lines=wanted), was_lines))
    # on v1 what limits memory and swap together is never below what limits memory alone
    changes.sort(key=lambda change: change.after.limit.key == _SWAP_TOO and not change.raises)
    changes.sort(key=lambda change: not (change.after.limit.key == _SWAP_TOO and change.raises))
    return changes


def _apart(spec: CgroupSpec) -> tuple[str, bool, tuple[CgroupSetting, ...]]:
    """What a reload leaves alone."""
    rules = tuple(setting for setting in spec.settings if controller(setting.key) == "devices")
    return spec.name, spec.assign_only, tuple(replace(setting, where=None) for setting in rules)


def _file(limit: Limit) -> tuple[int, str]:
    return limit.hierarchy.version, limit.key


def _default(limit: Limit) -> Lines:
    value = _DEFAULTS[limit.hierarchy.version].get(limit.key)
    if value is None:
        raise _only_a_start(f"what {limit.key} is without a setting depends on the host")
    return (value,)


def _devices(lines: Lines) -> set[str]:
    return {line.partition(" ")[0] for line in lines}


def _only_a_start(why: str) -> ContainerError:
    return ContainerError("cannot change its cgroup settings while it runs", why=why, hint=_START)


def make_changes(changes: list[Change]) -> None:
    """Write them all, or none.

    Raises:
        ContainerError: The kernel refuses one; the others are as they were.
    """
    done: list[Change] = []
    try:
        for change in changes:
            done.append(change)
            change.make()
    except HaconiwaError:
        take_back(done)
        raise


def take_back(changes: list[Change]) -> None:
    """Undo them, the last one first."""
    for change in reversed(changes):
        change.take_back()
