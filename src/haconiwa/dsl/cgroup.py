"""The section of control groups: ``config.cgroup["memory.max"] = "256M"``."""
# ruff: noqa: F811

from __future__ import annotations

from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.dsl.place import here
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec import cgroup_keys
from haconiwa.spec.cgroups import CgroupSetting, CgroupSpec
from haconiwa.spec.values import Refused, boolean, one_of, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Literal, TypeAlias, overload

    from haconiwa.dsl.builder import Container
    from haconiwa.spec.cgroup_names import CgroupKey, V1Key, V2Key

    CgroupValue: TypeAlias = str | int | Sequence[str]
else:
    from haconiwa.dsl.node import overload  # which ruff does not know: hence F811 below


class NotSet(ConfigError, KeyError):
    """A key that was read and has no setting. A KeyError too, as of any mapping."""


class Files(Section):
    """Files of control groups, by name."""

    __slots__ = ()
    _version = 0
    """Of the hierarchy whose files are meant literally; 0 for whichever the host has."""

    def _named(self, key: object) -> str:
        return f"{self._section}[{show(key)}]"

    def _dotted(self, name: str) -> str:
        return name if name.startswith(self._section) else super()._dotted(name)

    def _set(self, key: object, value: object) -> None:
        with Recording(self, self._named(key)) as where:
            name = cgroup_keys.key(key)
            version = self._version or None
            lines = cgroup_keys.value(name, value, version)
            # Set again it counts as set last: the order is that in which files are written.
            self._values.pop(name, None)
            self._values[name] = CgroupSetting(key=name, lines=lines, version=version, where=where)

    def _get(self, key: str) -> str:
        if key not in self:
            raise NotSet(Problem(f"{self._named(key)}: is read and not set", here(), "set it before"))
        setting: CgroupSetting = self._values[key]
        return "\n".join(setting.lines)

    def __delitem__(self, key: str) -> None:
        with Recording(self, self._named(key)):
            if key not in self:
                raise Refused("is deleted and not set")
            del self._values[key]

    def __contains__(self, key: Any) -> bool:
        return issubclass(type(key), str) and str.__str__(key) in self._settings()

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings())

    def _settings(self) -> dict[str, CgroupSetting]:
        return {name: value for name, value in self._values.items() if type(value) is CgroupSetting}


class CgroupV1(Files):
    """Files of the v1 hierarchies, written as they are named."""

    __slots__ = ()
    _section = 'cgroup("v1")'
    _version = 1

    @overload
    def __getitem__(self, key: V1Key) -> str: ...
    @overload
    def __getitem__(self, key: str) -> str: ...
    def __getitem__(self, key: str) -> str:
        return self._get(key)

    @overload
    def __setitem__(self, key: V1Key, value: CgroupValue) -> None: ...
    @overload
    def __setitem__(self, key: str, value: CgroupValue) -> None: ...
    def __setitem__(self, key: str, value: CgroupValue) -> None:
        self._set(key, value)


class CgroupV2(Files):
    """Files of the v2 hierarchy, written as they are named."""

    __slots__ = ()
    _section = 'cgroup("v2")'
    _version = 2

    assign_only: Setting[bool, bool] = Setting(boolean, False)
    """Put the container into a group of the v2 hierarchy though nothing is limited there."""

    @overload
    def __getitem__(self, key: V2Key) -> str: ...
    @overload
    def __getitem__(self, key: str) -> str: ...
    def __getitem__(self, key: str) -> str:
        return self._get(key)

    @overload
    def __setitem__(self, key: V2Key, value: CgroupValue) -> None: ...
    @overload
    def __setitem__(self, key: str, value: CgroupValue) -> None: ...
    def __setitem__(self, key: str, value: CgroupValue) -> None:
        self._set(key, value)


class Cgroup(Files):
    """Limits by the names of v2, or those of v1: translated where the host has the other version.

    ``config.cgroup("v1")`` and ``config.cgroup("v2")`` mean the files of that version literally.
    """

    __slots__ = ()
    _section = "cgroup"

    @overload
    def __getitem__(self, key: CgroupKey) -> str: ...
    @overload
    def __getitem__(self, key: str) -> str: ...
    def __getitem__(self, key: str) -> str:
        return self._get(key)

    @overload
    def __setitem__(self, key: CgroupKey, value: CgroupValue) -> None: ...
    @overload
    def __setitem__(self, key: str, value: CgroupValue) -> None: ...
    def __setitem__(self, key: str, value: CgroupValue) -> None:
        self._set(key, value)

    @overload
    def __call__(self, version: Literal["v1"]) -> CgroupV1: ...
    @overload
    def __call__(self, version: Literal["v2"]) -> CgroupV2: ...
    def __call__(self, version: str) -> CgroupV1 | CgroupV2:
        """The files of one version, literally.

        Args:
            version: ``v1`` or ``v2``.
        """
        owner: Container = self._owner  # type: ignore[assignment]
        kind: type[CgroupV1 | CgroupV2] = CgroupV2
        with Recording(self, "cgroup"):
            if one_of(version, ("v1", "v2"), '"v1" or "v2"') == "v1":
                kind = CgroupV1
        return owner._section_of(kind)


def freeze_cgroup(container: Container) -> CgroupSpec:
    """What a container says of its control groups, as a record."""
    sections: list[Files] = [section for section in container._sections.values() if isinstance(section, Files)]
    v2 = container._section_of(CgroupV2)
    return CgroupSpec(
        name=container.cgroup_name,
        settings=tuple(setting for section in sections for setting in section._settings().values()),
        assign_only=v2.assign_only,
        where=container._sources.get('cgroup("v2").assign_only') or container._sources.get("cgroup_name"),
    )
