"""What a haco file limits, as the files to write on this host.

A setting is written as it is named where the host has that controller on that version, and translated where it is on
the other one. What the host cannot honour is refused before anything is started.
"""

from __future__ import annotations

import errno
import os
import stat

from haconiwa.errors import ConfigError, Problem
from haconiwa.host.cgroups import describe_layout
from haconiwa.isolation.groups import write_group_file
from haconiwa.isolation.step import SUPERVISOR, Site, Step
from haconiwa.spec import cgroup_keys
from haconiwa.spec.cgroup_keys import controller
from haconiwa.spec.cgroup_translate import Translated, Untranslatable, io_weight_to_block, translate
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from haconiwa.errors import Where
    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.cgroup_values import Lines
    from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec

_OTHER_NAME = {"io": "blkio", "blkio": "io"}
_BFQ = {"blkio.weight": "blkio.bfq.weight", "io.weight": "io.bfq.weight"}
"""Where the weights are when it is the BFQ scheduler that heeds them."""
_PER_DEVICE = ("io.", "blkio.")


class Limit(Record):
    """One file to write.

    Attributes:
        hierarchy: Where.
        key: The file's name.
        lines: What is written, one write a line.
        sources: The settings it comes from, as a haco file writes them.
        where: The line of the last of them.
    """

    hierarchy: Hierarchy
    key: str
    lines: Lines
    sources: tuple[str, ...]
    where: Where | None = None


class WriteLimit(Step):
    """Write one file of a group."""

    __slots__ = ("group", "limit")

    def __init__(self, limit: Limit, name: str) -> None:
        super().__init__(SUPERVISOR, limit.where)
        self.limit = limit
        self.group = limit.hierarchy.group(name)

    def describe(self) -> str:
        return f'write {" and ".join(map(repr_line, self.limit.lines))} to "{self.group}/{self.limit.key}"'

    def execute(self, site: Site) -> None:
        self.write()

    def write(self) -> None:
        """Write it, where the group is there.

        Raises:
            OSError: The kernel refuses.
        """
        name, lines = self.limit.key, self.limit.lines
        if name in _BFQ and not os.path.exists(f"{self.group}/{name}"):
            lines = tuple(bfq_line(line) for line in lines) if name == "io.weight" else lines
            name = _BFQ[name]
        for line in lines:
            write_group_file(f"{self.group}/{name}", line)

    def hint(self, number: int) -> str:
        asked = " and ".join(self.limit.sources)
        version = self.limit.hierarchy.version
        if number in (errno.ENOENT, errno.EACCES, errno.EPERM):
            return f"{asked}: this kernel's cgroup v{version} has no such file; it has {self._others()}"
        if number in (errno.EINVAL, errno.ERANGE, errno.ENOSPC):
            return f"{asked}: the kernel does not take this value here, nor one above the parent group's"
        return f"{asked}: no such device on this host" if number == errno.ENODEV else ""

    def _others(self) -> str:
        """The files that the kernel has instead."""
        try:
            names = os.listdir(self.group)
        except OSError:
            return "none"
        own = sorted(name for name in names if name.startswith(f"{controller(self.limit.key)}."))
        return " ".join(own) or f"nothing of the {controller(self.limit.key)} controller"


def bfq_line(line: str) -> str:
    """A line of io.weight as io.bfq.weight takes it, whose largest weight is 1000."""
    subject, weight = line.split()
    return f"{subject} {io_weight_to_block(int(weight))}"


def repr_line(line: str) -> str:
    """A line as it is shown."""
    return f'"{line}"'


def plan(cgroup: CgroupSpec, name: str, found: tuple[Hierarchy, ...], needed: dict[Hierarchy, set[str]]) -> list[Step]:
    """Steps that write the limits, in file order.

    Args:
        cgroup: What is asked for.
        name: Of the groups.
        found: The host's hierarchies.
        needed: Gets the hierarchies in which a group is needed, with the controllers of v2.

    Raises:
        ConfigError: The host cannot honour something.
    """
    limits = resolve(cgroup, found)
    for limit in limits:
        enabled = needed.setdefault(limit.hierarchy, set())
        if limit.hierarchy.version == 2 and controller(limit.key) != "cgroup":
            enabled.add(controller(limit.key))
    return [WriteLimit(limit, name) for limit in limits]


def resolve(cgroup: CgroupSpec, found: tuple[Hierarchy, ...]) -> list[Limit]:
    """The files to write on a host, for all settings but the rules for devices.

    Raises:
        ConfigError: With everything that this host cannot honour.
    """
    settings = [setting for setting in cgroup.settings if setting.version or controller(setting.key) != "devices"]
    given = {setting.key: setting for setting in settings if setting.version is None}
    limits: dict[tuple[int, str], Limit] = {}
    problems = list(_unassignable(cgroup, found))
    for setting in settings:
        try:
            for limit in _of_setting(setting, given, found):
                before = limits.get((limit.hierarchy.version, limit.key))
                if before is not None and before.sources != limit.sources:
                    raise Impossible(f"is the same limit as {before.sources[0]} on this host")
                limits[limit.hierarchy.version, limit.key] = limit
        except Impossible as error:
            problems.append(Problem(f"{setting.named()}: {error}", setting.where, error.hint))
    if problems:
        raise ConfigError(problems)
    # v1 takes no limit of memory and swap together below that of memory alone, which has none at first.
    return sorted(limits.values(), key=lambda limit: limit.key == "memory.memsw.limit_in_bytes")


class Impossible(Exception):
    """This host cannot honour a setting.

    Attributes:
        hint: What it has instead.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def _unassignable(cgroup: CgroupSpec, found: tuple[Hierarchy, ...]) -> Iterator[Problem]:
    if cgroup.assign_only and not any(hierarchy.version == 2 for hierarchy in found):
        what = 'cgroup("v2").assign_only: this host has no v2 hierarchy'
        yield Problem(what, cgroup.where, f"it has {describe_layout(found)}")


def _of_setting(
    setting: CgroupSetting, given: Mapping[str, CgroupSetting], found: tuple[Hierarchy, ...]
) -> Iterator[Limit]:
    home = _home(setting, found)
    if home is None:
        version = f"v{setting.version} " if setting.version else ""
        what = f'this host has no {version}controller "{controller(setting.key)}"'
        raise Impossible(what, f"it has {describe_layout(found)}")
    for file in _files(setting, given, home):
        lines = tuple(on_host(file.key, line, home.version) for line in file.lines)
        sources = [given[source] if setting.version is None else setting for source in file.sources]
        yield Limit(
            hierarchy=home,
            key=file.key,
            lines=lines,
            sources=tuple(source.named() for source in sources),
            where=sources[-1].where,
        )


def _home(setting: CgroupSetting, found: tuple[Hierarchy, ...]) -> Hierarchy | None:
    """The hierarchy that has the controller of a setting."""
    name = controller(setting.key)
    names = {name} if setting.version else {name, _OTHER_NAME.get(name, name)}
    for hierarchy in found:
        if setting.version not in (None, hierarchy.version):
            continue
        if not names.isdisjoint(hierarchy.controllers) or (name == "cgroup" and hierarchy.version == 2):
            return hierarchy
    return None


def _files(setting: CgroupSetting, given: Mapping[str, CgroupSetting], home: Hierarchy) -> list[Translated]:
    if setting.version is not None or cgroup_keys.parser(setting.key, home.version):
        return [Translated(key=setting.key, lines=setting.lines, sources=(setting.key,))]
    try:
        return translate(setting.key, {key: other.lines for key, other in given.items()}, home.version)
    except Untranslatable as error:
        known = cgroup_keys.V1_KEYS if home.version == 1 else cgroup_keys.V2_KEYS
        name = controller(setting.key)
        others = sorted(key for key in known if controller(key) in (name, _OTHER_NAME.get(name)))
        what = f"this host's {name} controller is of cgroup v{home.version}: {error}"
        raise Impossible(what, f"there it has {' '.join(others)}") from None


def on_host(key: str, line: str, version: int) -> str:
    """A line as a file of that version takes it: devices by number, and no limit as v1 writes it."""
    if key.startswith(_PER_DEVICE) and line.startswith("/"):
        path, _, rest = line.partition(" ")
        line = f"{_device_number(path)} {rest}"
    if version == 2 or key == "pids.max":
        return line
    if line == "max":
        return "-1"
    return f"{line.removesuffix(' max')} 0" if line.endswith(" max") else line


def _device_number(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError as error:
        raise Impossible(f'cannot look at "{path}": {error.strerror}') from None
    if not stat.S_ISBLK(status.st_mode):
        raise Impossible(f'"{path}" is no block device')
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
