"""What is wrong with a container's control group settings where each single value is right, on whatever host."""

from __future__ import annotations

from haconiwa.errors import Problem
from haconiwa.spec.cgroup_keys import parser
from haconiwa.spec.cgroup_translate import Untranslatable, translate
from haconiwa.spec.cgroup_values import MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec

SMALLEST_MEMORY = 2 << 20
"""Bytes below which the container's process cannot even get as far as its program."""

_MEMORY = ("memory.max", "memory.high", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


def check_cgroup(cgroup: CgroupSpec) -> Iterator[Problem]:
    """Limits that no start can live in, one limit under two names, and v1 limits that need another one."""
    for setting in cgroup.settings:
        if setting.key in _MEMORY and setting.lines[0] != MAX and int(setting.lines[0]) < SMALLEST_MEMORY:
            what = f"{setting.named()}: no container can start with less than {SMALLEST_MEMORY >> 20}M"
            yield Problem(what, setting.where)
    yield from _same_limits(cgroup)


def _same_limits(cgroup: CgroupSpec) -> Iterator[Problem]:
    given: dict[str, CgroupSetting] = {s.key: s for s in cgroup.settings if s.version is None}
    lines = {key: setting.lines for key, setting in given.items()}
    for key, setting in given.items():
        if parser(key, 2):
            continue
        try:
            others = [file.key for file in translate(key, lines, 2)]
        except Untranslatable as error:
            if key == "memory.memsw.limit_in_bytes":
                yield Problem(f"{setting.named()}: {error}", setting.where)
            continue
        for other in others:
            if other in given:
                what = f"{setting.named()}: is the same limit as {given[other].named()}"
                yield Problem(what, setting.where, "set one of them")
