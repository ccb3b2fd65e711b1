"""Immutable records without the import cost of ``dataclasses`` (which pulls in ``inspect``)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar, dataclass_transform

    _T = TypeVar("_T")
else:

    def dataclass_transform(**_kwargs):
        """Stands for ``typing.dataclass_transform``, which is too slow to load."""
        return lambda cls: cls


@dataclass_transform(kw_only_default=True, frozen_default=True)
class RecordMeta(type):
    """Turns the annotations of a class into slots and keeps the assigned values as defaults."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        own = tuple(namespace.get("__annotations__", ()))
        defaults = {key: namespace.pop(key) for key in own if key in namespace}
        inherited = getattr(bases[0], "_fields", ()) if bases else ()
        namespace["__slots__"] = own
        namespace["_fields"] = inherited + own
        namespace["_defaults"] = {**(getattr(bases[0], "_defaults", {}) if bases else {}), **defaults}
        return super().__new__(mcs, name, bases, namespace)


class Record(metaclass=RecordMeta):
    """Base of the frozen records: keyword arguments only, equality by value, no change after creation."""

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]
    else:

        def __init__(self, **values):
            assign = object.__setattr__
            defaults = self._defaults
            for key in self._fields:
                if key in values:
                    assign(self, key, values.pop(key))
                elif key in defaults:
                    assign(self, key, defaults[key])
                else:
                    raise TypeError(f'{type(self).__name__} lacks "{key}"')
            if values:
                raise TypeError(f"{type(self).__name__} has no {sorted(values)}")

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, key) == getattr(other, key) for key in self._fields)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, key) for key in self._fields))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={getattr(self, key)!r}' for key in self._fields)})"


def replace(record: _T, **changes: object) -> _T:
    """A copy of a record with some fields changed."""
    fields: tuple[str, ...] = record._fields  # type: ignore[attr-defined]
    return type(record)(**{**{key: getattr(record, key) for key in fields}, **changes})


def to_plain(value: object) -> Any:
    """A record as dicts, lists, strings and numbers, for JSON.

    Functions become their qualified name and places ``file:line``.
    """
    if isinstance(value, Record):
        return {key: to_plain(getattr(value, key)) for key in value._fields}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted((to_plain(item) for item in value), key=str)
    if callable(value):
        return getattr(value, "__qualname__", "function")
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)
