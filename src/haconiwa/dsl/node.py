"""What is common to everything that a haco file sets: recorded lines, refused values, unknown names."""

from __future__ import annotations

from haconiwa.dsl.functions import FunctionType
from haconiwa.dsl.place import here
from haconiwa.errors import ConfigError, Problem, Where
from haconiwa.image import Deferred
from haconiwa.spec.values import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar

    from haconiwa.dsl.loading import Loading

    Given = TypeVar("Given", contravariant=True)  # noqa: PLC0105
    Kept = TypeVar("Kept", covariant=True)  # noqa: PLC0105
else:
    Given = Kept = None

    class Generic:
        """Stands for ``typing.Generic``, which is too slow to load."""

        def __class_getitem__(cls, _parameters):
            return cls

    def overload(function):
        """Stands for ``typing.overload``."""
        return function


class UnknownName(ConfigError, AttributeError):
    """A name that was read and does not exist. An AttributeError too, so that ``hasattr`` works."""


class Node:
    """A builder: the container, or one of its sections.

    Attributes:
        _load: The load it belongs to.
        _owner: The container of a section; itself otherwise.
        _values: What was set, in plain types.
    """

    __slots__ = ("_load", "_owner", "_values")
    _section = ""

    if TYPE_CHECKING:
        _load: Loading
        _owner: Node
        _values: dict[str, Any]
        _sources: dict[str, Where]
        _first_child: Where | None

    def __init__(self, load: Loading, owner: Node | None = None) -> None:
        assign = object.__setattr__
        assign(self, "_load", load)
        assign(self, "_owner", owner or self)
        assign(self, "_values", {})

    def __init_subclass__(cls) -> None:
        # Python's own messages about wrong arguments shall name the setting, not the class that has it.
        for name, member in vars(cls).items():
            if isinstance(member, (FunctionType, Deferred)):
                member.__qualname__ = f"{cls._section}.{name}" if cls._section else name

    def _dotted(self, name: str) -> str:
        return f"{self._section}.{name}" if self._section else name

    def _copy_values(self, other: Node) -> None:
        """Start from what another node of the same kind has; lists and dicts become copies, functions stay."""
        for name, value in other._values.items():
            self._values[name] = _copied(value, self)

    def __repr__(self) -> str:
        return f"<{self._section or 'container'} of {self._load.file}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            from haconiwa.dsl.unknown import refuse_left_block

            refuse_left_block(self, error, trace)

    if not TYPE_CHECKING:

        def __setattr__(self, name, value):
            found = getattr(type(self), name, None)
            if isinstance(found, Setting):
                found.__set__(self, value)
            else:
                from haconiwa.dsl.unknown import refuse_assignment

                refuse_assignment(self, name, found)

        def __delattr__(self, name):
            with Recording(self, name):
                raise Refused("cannot be deleted")

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)  # Python's own protocols ask for these
            from haconiwa.dsl.unknown import unknown_name

            raise unknown_name(self, name)


def _copied(value: object, node: Node) -> object:
    copy_for = getattr(type(value), "copy_for", None)
    if copy_for is not None:
        return copy_for(value, node)
    if isinstance(value, (list, dict)):
        return value.copy()
    return value


def refuse_later(name: str) -> None:
    """Refuse what the language has, but not yet in this version; anything else passes.

    Raises:
        Refused: It comes later.
    """
    from haconiwa.dsl.unknown import LATER, NOT_YET

    if name in LATER:
        raise Refused(NOT_YET)


class Recording:
    """Around the body of every setter: remembers the line, and turns a refused value into a recorded problem.

    Args:
        node: What is set on.
        name: The setting or method.
        barns_own: It belongs to the barn alone and may come after the first child.

    Raises:
        ConfigError: The file has ended.
    """

    __slots__ = ("_barns_own", "_name", "_node", "where")

    def __init__(self, node: Node, name: str, *, barns_own: bool = False) -> None:
        self._node = node
        self._name = node._dotted(name)
        self._barns_own = barns_own

    def __enter__(self) -> Where:
        self.where = here()
        node, name = self._node, self._name
        if node._load.frozen:
            raise ConfigError(Problem(f"{name}: cannot be set any more, the haco file has ended", self.where))
        child = node._owner._first_child
        if child is not None and not self._barns_own:
            what = f"{name}: set on the barn after its first child ({child})"
            node._load.refuse(what, self.where, "set it before, or in the child")
        return self.where

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Refused):
            for each in (error, *error.others):
                self._node._load.refuse(f"{self._name}: {each}", self.where, each.hint)
            return True
        self._node._owner._sources[self._name] = self.where
        return False


class Setting(Generic[Given, Kept]):
    """An attribute of a builder: assigned values are parsed at once and kept in plain types.

    Args:
        parse: Makes the plain value or raises `Refused`.
        default: What is read before anything was set.
        barns_own: It belongs to the barn alone and may come after the first child.
        kept_as: The setting that this is another name of.
    """

    _kept_as = ""

    def __init__(
        self, parse: Callable[[object], Kept], default: Kept, *, barns_own: bool = False, kept_as: str = ""
    ) -> None:
        self._parse = parse
        self._default = default
        self._barns_own = barns_own
        self._kept_as = kept_as

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._kept_as = self._kept_as or name

    def __get__(self, node: Any, owner: type) -> Kept:
        if node is None:
            return self  # type: ignore[return-value]  # asked for on the class
        kept: Kept = node._values.get(self._kept_as, self._default)
        return kept

    def __set__(self, node: Node, value: Given) -> None:
        with Recording(node, self._name, barns_own=self._barns_own):
            node._values[self._kept_as] = self._parse(value)


class Section(Node):
    """A group of settings of a container, as in ``config.namespace.unshare("pid")``."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, load: Loading, owner: Node) -> None: ...
