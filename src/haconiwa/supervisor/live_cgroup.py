"""The control groups of a running container, as its hooks read and write them."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError
from haconiwa.isolation.cgroup_limits import Impossible, on_host
from haconiwa.isolation.groups import ALMOST_UNLIMITED, read_group_file, write_group_file
from haconiwa.spec import cgroup_keys
from haconiwa.spec.cgroup_translate import TO_V1, TO_V2, Untranslatable, translate
from haconiwa.spec.cgroup_values import MAX, anything
from haconiwa.spec.values import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haconiwa.spec.cgroup_values import Lines

_USAGE = {"memory.current": "memory.usage_in_bytes", "memory.peak": "memory.max_usage_in_bytes"}
"""What is only read, by its names in v2 and v1."""

_FREEZER = ("cgroup.freeze", "freezer.state")
_FREEZER_WORDS = {"cgroup.freeze": ("0", "1"), "freezer.state": ("THAWED", "FROZEN")}


class LiveCgroup:
    """The files of a container's groups, by the names of v2 or v1, whichever the host has.

    Attributes:
        paths: The groups, as the host sees them; none before the container's process is made.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths

    def __getitem__(self, key: str) -> str:
        """The content of a file, without the last line break; no limit is ``max``.

        Raises:
            ContainerError: No group of the container's has it, or something that means the same.
            OSError: The kernel refuses.
        """
        found = self._read(key)
        if found is None:
            raise self._missing("read", key)
        return "\n".join(found)

    def __setitem__(self, key: str, value: str | int | Sequence[str]) -> None:
        """Write a value as `config.cgroup` takes it.

        Raises:
            ValueError: The value, or the name, is wrong.
            ContainerError: No group of the container's has it, or something that means the same.
            OSError: The kernel refuses: EINVAL, EBUSY (what is used is above the new limit on v1).
        """
        try:
            self._write(key, _checked(key, value))
        except (Refused, Impossible) as error:
            raise ValueError(f"{key}: {error}") from None

    def __contains__(self, key: str) -> bool:
        """Whether it can be read here, by the names of either version."""
        return self._read(key) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of the files that can be read, of the version that the host has."""
        found = {entry.name: entry for path in self.paths for entry in os.scandir(path)}
        return iter(sorted(name for name, file in found.items() if file.is_file() and file.stat().st_mode & 0o400))

    def __repr__(self) -> str:
        return f"<LiveCgroup {' '.join(self.paths)}>"

    def _write(self, key: str, lines: Lines) -> None:
        path = self._holder(key)
        if path:
            _write(path, key, lines)
        elif key in _FREEZER:
            self._freeze(key, lines[0])
        else:
            self._write_translated(key, lines)

    def _holder(self, key: str) -> str:
        """The group that has a file of that name."""
        return next((path for path in self.paths if "/" not in key and os.path.isfile(f"{path}/{key}")), "")

    def _read(self, key: str) -> Lines | None:
        path = self._holder(key)
        if path:
            return _lines(f"{path}/{key}", key)
        if key in _FREEZER:
            return self._frozen(key)
        usage = {**_USAGE, **{v1: v2 for v2, v1 in _USAGE.items()}}.get(key)
        if usage:
            return self._read(usage) if self._holder(usage) else None
        return self._read_translated(key)

    def _read_translated(self, key: str) -> Lines | None:
        """What the files of the other version say, of which several may make up one."""
        version = 2 if cgroup_keys.parser(key, 2) else 1
        rules = TO_V2 if version == 2 else TO_V1
        given = {name: _lines(f"{path}/{name}", name) for name in rules if (path := self._holder(name))}
        for name in given:
            try:
                files = translate(name, given, version)
            except Untranslatable:
                continue
            for file in files:
                if file.key == key:
                    return file.lines
        return None

    def _write_translated(self, key: str, lines: Lines) -> None:
        for version in (1, 2):
            try:
                files = translate(key, {**self._memory_limit(version), key: lines}, version)
            except Untranslatable:
                continue
            if all(self._holder(file.key) for file in files):
                for file in files:
                    _write(self._holder(file.key), file.key, file.lines)
                return
        raise self._missing("write", key)

    def _memory_limit(self, version: int) -> dict[str, Lines]:
        """What swap is reckoned from, as v1 limits both together."""
        key = "memory.limit_in_bytes" if version == 1 else "memory.max"
        path = self._holder(key)
        return {key: _lines(f"{path}/{key}", key)} if path else {}

    def _frozen(self, key: str) -> Lines | None:
        other = _FREEZER[1 - _FREEZER.index(key)]
        path = self._holder(other)
        if not path:
            return None
        state = read_group_file(f"{path}/{other}").strip()
        if key == "cgroup.freeze":
            return ("0" if state == "THAWED" else "1",)
        return ("FROZEN" if state == "1" else "THAWED",)

    def _freeze(self, key: str, value: str) -> None:
        other = _FREEZER[1 - _FREEZER.index(key)]
        path = self._holder(other)
        if not path:
            raise self._missing("write", key)
        if value not in _FREEZER_WORDS[key]:
            raise ValueError(f"{key}: {value!r} is not one of {' '.join(_FREEZER_WORDS[key])}")
        write_group_file(f"{path}/{other}", _FREEZER_WORDS[other][_FREEZER_WORDS[key].index(value)])

    def _missing(self, verb: str, key: str) -> ContainerError:
        name = cgroup_keys.controller(key)
        if not self.paths:
            return ContainerError(f'cannot {verb} "{key}"', why="it has no groups yet")
        return ContainerError(
            f'cannot {verb} "{key}"',
            why=f"the container has no group of the {name} controller with it",
            hint=f'limit something of {name} in the haco file, be it to "max", and it gets one',
        )


def _checked(key: str, value: object) -> Lines:
    """The lines to write; what is no setting of a haco file is taken as it is."""
    parse = cgroup_keys.parser(key, 2) or cgroup_keys.parser(key, 1) or anything
    return parse(value)


def _lines(path: str, key: str) -> Lines:
    """A file's content in the form of settings."""
    lines = tuple(read_group_file(path).splitlines())
    if len(lines) == 1 and cgroup_keys.parser(key, 1):
        word = lines[0]
        if word == "-1" or (word.isdigit() and int(word) >= ALMOST_UNLIMITED):
            return (MAX,)
    return lines


def _write(path: str, key: str, lines: Lines) -> None:
    version = 1 if os.path.exists(f"{path}/tasks") else 2
    for line in lines:
        write_group_file(f"{path}/{key}", on_host(key, line, version))
