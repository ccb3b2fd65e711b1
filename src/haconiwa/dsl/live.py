"""Lists and dicts that a haco file may change in place: each change is checked and remembers its line."""

from __future__ import annotations

from haconiwa.dsl.node import Node, Recording, Setting
from haconiwa.spec.values import Refused, items, parse_all, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Self, SupportsIndex, TypeAlias

    from haconiwa.dsl.paths import StrPath

    DictValue: TypeAlias = str | int | StrPath


class LiveList(list[str]):
    """A list of text that belongs to a builder; `parse` checks what comes in."""

    __slots__ = ("_name", "_node", "_parse")

    def __init__(self, node: Node, name: str, parse: Callable[[object], str], values: Iterable[str]) -> None:
        super().__init__(values)
        self._node = node
        self._name = name
        self._parse = parse

    def copy_for(self, node: Node) -> LiveList:
        """The same list, belonging to another node."""
        return LiveList(node, self._name, self._parse, self)

    def _parsed(self, values: object) -> list[str]:
        return items(values, self._parse, "a list")

    def _recording(self) -> Recording:
        return Recording(self._node, self._name)

    def replace(self, values: object) -> None:
        """Put other items into the list; the list stays the same object, so that older references see it."""
        super().__setitem__(slice(None), self._parsed(values))

    def add(self, value: str) -> None:
        """Append what is already checked and recorded, once."""
        if value not in self:
            super().append(value)

    def append(self, value: StrPath) -> None:
        with self._recording():
            super().append(self._parse(value))

    def extend(self, values: Iterable[StrPath]) -> None:
        with self._recording():
            super().extend(self._parsed(values))

    def insert(self, index: SupportsIndex, value: StrPath) -> None:
        with self._recording():
            super().insert(index, self._parse(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        with self._recording():
            super().__setitem__(index, self._parsed(value) if type(index) is slice else self._parse(value))

    def __iadd__(self, values: Iterable[StrPath]) -> Self:  # type: ignore[override,misc]
        with self._recording():
            super().extend(self._parsed(values))
        return self

    def __imul__(self, times: SupportsIndex) -> Self:
        with self._recording():
            super().__imul__(times)
        return self

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        with self._recording():
            super().__delitem__(index)

    def pop(self, index: SupportsIndex = -1) -> str:
        with self._recording():
            pass
        return super().pop(index)

    def remove(self, value: str) -> None:
        with self._recording():
            super().remove(value)

    def clear(self) -> None:
        with self._recording():
            super().clear()

    def reverse(self) -> None:
        with self._recording():
            super().reverse()

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        with self._recording():
            super().sort(key=key, reverse=reverse)


class LiveDict(dict[str, str]):
    """A dict of text that belongs to a builder."""

    __slots__ = ("_name", "_node", "_parse_key", "_parse_value")

    def __init__(
        self, node: Node, name: str, parse_key: Callable[[object], str], parse_value: Callable[[object], str]
    ) -> None:
        super().__init__()
        self._node = node
        self._name = name
        self._parse_key = parse_key
        self._parse_value = parse_value

    def copy_for(self, node: Node) -> LiveDict:
        """The same dict, belonging to another node."""
        copy = LiveDict(node, self._name, self._parse_key, self._parse_value)
        dict.update(copy, self)
        return copy

    def _parsed(self, values: object) -> dict[str, str]:
        if not issubclass(type(values), dict):
            raise Refused(f"expected a dict, not {show(values)}")
        pairs: Iterable[tuple[object, object]] = dict.items(values)  # type: ignore[arg-type]
        return dict(parse_all(lambda pair: (self._parse_key(pair[0]), self._parse_value(pair[1])), pairs))

    def _recording(self) -> Recording:
        return Recording(self._node, self._name)

    def replace(self, values: object) -> None:
        """Put other items into the dict; the dict stays the same object."""
        parsed = self._parsed(values)
        super().clear()
        super().update(parsed)

    def __setitem__(self, key: str, value: DictValue) -> None:
        with self._recording():
            super().__setitem__(self._parse_key(key), self._parse_value(value))

    def __delitem__(self, key: str) -> None:
        with self._recording():
            super().__delitem__(key)

    def __ior__(self, values: Any) -> Self:  # type: ignore[override,misc]
        with self._recording():
            super().update(self._parsed(values))
        return self

    def update(self, values: Mapping[str, DictValue] | None = None, /, **more: DictValue) -> None:  # type: ignore[override]
        with self._recording():
            super().update(self._parsed({} if values is None else values) | self._parsed(more))

    def setdefault(self, key: str, default: DictValue = "") -> str:
        if key not in self:
            self[key] = default
        return self.get(key, "")

    def pop(self, key: str, *default: Any) -> Any:
        with self._recording():
            pass
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, str]:
        with self._recording():
            pass
        return super().popitem()

    def clear(self) -> None:
        with self._recording():
            super().clear()


class ListSetting(Setting["Sequence[StrPath]", LiveList]):
    """An attribute that is read as a `LiveList` and takes a whole list, which it copies."""

    def __init__(self, parse_item: Callable[[object], str], default: tuple[str, ...]) -> None:
        self._parse_item = parse_item
        self._items = default

    def __get__(self, node: Any, owner: type) -> LiveList:
        if node is None:
            return self  # type: ignore[return-value]  # asked for on the class
        if self._name not in node._values:
            node._values[self._name] = LiveList(node, self._name, self._parse_item, self._items)
        found: LiveList = node._values[self._name]
        return found

    def __set__(self, node: Node, value: Sequence[StrPath]) -> None:
        with Recording(node, self._name):
            self.__get__(node, type(node)).replace(value)


class DictSetting(Setting["Mapping[str, DictValue]", LiveDict]):
    """An attribute that is read as a `LiveDict` and takes a whole dict, which it copies."""

    def __init__(self, parse_key: Callable[[object], str], parse_value: Callable[[object], str]) -> None:
        self._parse_key = parse_key
        self._parse_value = parse_value

    def __get__(self, node: Any, owner: type) -> LiveDict:
        if node is None:
            return self  # type: ignore[return-value]  # asked for on the class
        if self._name not in node._values:
            node._values[self._name] = LiveDict(node, self._name, self._parse_key, self._parse_value)
        found: LiveDict = node._values[self._name]
        return found

    def __set__(self, node: Node, value: Mapping[str, DictValue]) -> None:
        with Recording(node, self._name):
            self.__get__(node, type(node)).replace(value)
