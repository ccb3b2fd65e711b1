"""The section ``config.seccomp``: which system calls the container may make."""
# ruff: noqa: F811

from __future__ import annotations

import errno

from haconiwa.dsl import loading
from haconiwa.dsl.functions import function
from haconiwa.dsl.node import Node, Recording, Section, Setting
from haconiwa.dsl.paths import host_path
from haconiwa.dsl.place import here
from haconiwa.dsl.source import read_trusted
from haconiwa.errors import ConfigError, Problem
from haconiwa.kernel.syscall_tables import ABIS
from haconiwa.spec.record import replace
from haconiwa.spec.seccomp import ARGUMENT_MAX, DEFAULT_ACTIONS, PROFILES, Condition, FilterSpec, RuleSpec, SeccompSpec
from haconiwa.spec.values import Refused, number, one_of, show, string, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias, TypeVar, overload

    from haconiwa.dsl.paths import StrPath
    from haconiwa.errors import Where
    from haconiwa.lifecycle.notify import Call
    from haconiwa.spec.seccomp import Comparison, DefaultAction, FilterAction

    Handler = TypeVar("Handler", bound=Callable[[Call], int | str])
    When: TypeAlias = "Compared | Sequence[Compared]"
else:
    from haconiwa.dsl.node import overload  # which ruff does not know: hence F811 above

_ERRNO_MAX = 4095  # MAX_ERRNO
_MESSAGE_MAX = 0xFFFF
_INT = 0xFFFFFFFF
_MISSING: Any = object()


class Compared:
    """A comparison of an argument, as in ``arg(0) == 40``; for ``when=`` only."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def __bool__(self) -> bool:
        what = "a comparison of an argument says nothing before there is a call"
        raise ConfigError(Problem(what, here(), "for several write when=[arg(0) > 1, arg(0) < 5]"))


class Argument:
    """An argument of a system call, to be compared with numbers, as a whole or with ``& mask``."""

    __slots__ = ("_index", "_mask")

    def __init__(self, index: int, mask: int = ARGUMENT_MAX) -> None:
        self._index = index
        self._mask = mask

    def __and__(self, mask: int) -> Argument:
        return Argument(self._index, _checked(mask, "a mask"))

    def __eq__(self, value: object) -> Compared:  # type: ignore[override]
        return self._compared("==", value)

    def __ne__(self, value: object) -> Compared:  # type: ignore[override]
        return self._compared("!=", value)

    def __lt__(self, value: int) -> Compared:
        return self._compared("<", value)

    def __le__(self, value: int) -> Compared:
        return self._compared("<=", value)

    def __gt__(self, value: int) -> Compared:
        return self._compared(">", value)

    def __ge__(self, value: int) -> Compared:
        return self._compared(">=", value)

    __hash__ = None  # type: ignore[assignment]

    def _compared(self, operator: Comparison, value: object) -> Compared:
        plain = _checked(value, "a number")
        if operator == "==" and plain & ~self._mask:
            _refuse(f"{plain:#x} has bits that the mask {self._mask:#x} takes away")
        return Compared(Condition(index=self._index, operator=operator, value=plain, mask=self._mask))


def arg(index: int) -> Argument:
    """An argument of a system call, for ``when=`` of a rule: ``rule.errno("socket", when=arg(0) == 40)``.

    Args:
        index: 0 is the first, 5 the last.
    """
    try:
        return Argument(number(index, 0, 5, "the number of an argument, from 0 to 5,"))
    except Refused as error:
        _refuse(str(error))
        return Argument(0)


def _checked(value: object, expected: str) -> int:
    try:
        return number(value, 0, ARGUMENT_MAX, expected)
    except Refused as error:
        below_zero = issubclass(type(value), int) and isinstance(value, int) and value < 0
        _refuse(
            str(error),
            "arguments have no sign: compare arg(n) & 0xffffffff with 0xffffffff for -1" if below_zero else "",
        )
        return 0


def _refuse(what: str, hint: str = "") -> None:
    loading.current().refuse(f"arg: {what}", here(), hint)


class Filter(Section):
    """Rules about system calls, in their order: the first that fits a call decides."""

    __slots__ = ()
    _section = "seccomp.filter"

    def kill(self, *names: str, when: When = ()) -> None:
        """End the process that makes such a call, with the signal SYS."""
        with Recording(self, "kill") as where:
            self._add("kill", names, when, where)

    def errno(self, *names: str, code: str | int = "EPERM", when: When = ()) -> None:
        """Let such calls fail with an error, by name or number."""
        with Recording(self, "errno") as where:
            self._add("errno", names, when, where, code=_error(code))

    def trap(self, *names: str, when: When = ()) -> None:
        """Send the signal SYS to the thread that makes such a call, which it may handle."""
        with Recording(self, "trap") as where:
            self._add("trap", names, when, where)

    def trace(self, *names: str, message: int = 0, when: When = ()) -> None:
        """Ask the tracer, see ptrace(2); without one the call fails with ENOSYS."""
        with Recording(self, "trace") as where:
            self._add("trace", names, when, where, code=number(message, 0, _MESSAGE_MAX, "a message for the tracer"))

    def log(self, *names: str, when: When = ()) -> None:
        """Let such calls through, and have the kernel log them."""
        with Recording(self, "log") as where:
            self._add("log", names, when, where)

    def allow(self, *names: str, when: When = ()) -> None:
        """Let such calls through, as far as this filter is concerned."""
        with Recording(self, "allow") as where:
            self._add("allow", names, when, where)

    @overload
    def notify(self, *names: str, when: When = ()) -> Callable[[Handler], Handler]: ...
    @overload
    def notify(self, *names: str, handler: Handler, when: When = ()) -> Handler: ...
    def notify(self, *names: str, handler: Any = _MISSING, when: Any = ()) -> Any:
        """Let a function in the supervisor decide about such calls. Can be used as a decorator.

        Args:
            *names: System calls.
            handler: Called with the live call; returns the name of an error, the value that the call returns, or
                ``"continue"`` for the call to be made.
            when: Comparisons of arguments, which must all hold.
        """
        if handler is _MISSING:
            if len(names) == 1 and callable(names[0]):
                with Recording(self, "notify"):
                    raise Refused("is given a function and no system call", 'write @rule.notify("CALL") above it')
                return names[0]
            return lambda handler: self.notify(*names, handler=handler, when=when)
        with Recording(self, "notify") as where:
            checked = function(handler, 1, coroutine=False)
            self._add("notify", names, when, where, handler=checked)
        return handler

    def _add(
        self,
        action: FilterAction,
        names: Sequence[object],
        when: object,
        where: Where,
        *,
        code: int = 0,
        handler: Callable[..., object] | None = None,
    ) -> None:
        if not names:
            raise Refused("names no system call")
        rule = RuleSpec(
            action=action,
            names=tuple(_call_name(name) for name in names),
            code=code,
            when=tuple(_condition(compared, action) for compared in _listed(when)),
            handler=handler,
            where=where,
        )
        self._values.setdefault("rules", []).append(rule)

    def _freeze(self) -> FilterSpec:
        values = self._values
        return FilterSpec(
            default=values.get("default", "allow"),
            code=values.get("code", 0),
            rules=tuple(values.get("rules", ())),
            where=values["where"],
        )


class ProfileSetting(Setting["StrPath", str]):
    """A profile: a file is read and checked when it is named, as a haco file is."""

    def __set__(self, node: Node, value: StrPath) -> None:
        with Recording(node, "profile"):
            node._values["profile"], node._values["text"] = _profile(value)


class Seccomp(Section):
    """Which system calls the container may make, see seccomp(2)."""

    __slots__ = ()
    _section = "seccomp"

    profile: ProfileSetting = ProfileSetting(string, "default")
    """``default``, ``unconfined``, or a file in the form of Docker's profiles, which replaces the default one."""

    def filter(self, default: DefaultAction = "allow", code: str | int = "EPERM") -> Filter:
        """Begin a filter of your own, beside the profile: ``with config.seccomp.filter() as rule:``.

        Args:
            default: What happens to calls that no rule is about.
            code: The error of ``default="errno"``.
        """
        added = Filter(self._load, self._owner)
        with Recording(self, "filter") as where:
            added._values["where"] = where
            self._values.setdefault("filters", []).append(added)
            action = one_of(default, DEFAULT_ACTIONS, f"one of {' '.join(DEFAULT_ACTIONS)}")
            added._values["default"] = action
            added._values["code"] = _error(code) if action == "errno" else 0
        return added

    def _freeze(self, *, privileged: bool) -> SeccompSpec:
        """The record; a container that may do all has no default profile."""
        values = self._values
        sources = self._owner._sources
        return SeccompSpec(
            profile=values.get("profile", "unconfined" if privileged else "default"),
            text=values.get("text", ""),
            filters=tuple(each._freeze() for each in values.get("filters", ())),
            where=sources.get("seccomp.profile"),
        )


def _profile(value: object) -> tuple[str, str]:
    """A profile's name or absolute host path, and what that file holds."""
    if issubclass(type(value), str) and (plain := string(value)) in PROFILES:
        return plain, ""
    path = host_path(value)
    try:
        _real_file, data = read_trusted(path, loading.current().defaults.trusted_uids)
        return path, data.decode()
    except ConfigError as error:
        words = " ".join(PROFILES)
        raise Refused(error.what, error.hint or f"a file, or one of {words}") from None
    except UnicodeDecodeError:
        raise Refused(f'"{path}" is not in UTF-8') from None


def _listed(when: object) -> Sequence[object]:
    if isinstance(when, (list, tuple)):
        return when
    return (when,)


def _condition(compared: object, action: FilterAction) -> Condition:
    if not isinstance(compared, Compared):
        raise Refused(f"when= takes comparisons like arg(0) == 1, not {show(compared)}")
    condition = compared.condition
    whole = condition.mask == ARGUMENT_MAX and condition.operator in ("==", "<", "<=")
    if whole and action != "allow" and condition.value <= _INT:
        # The kernel takes no more than the lower half of an int: with something in the upper one, a call that is
        # forbidden would pass as another.
        return replace(condition, mask=_INT)
    return condition


def _call_name(value: object) -> str:
    plain = string(value, "the name of a system call")
    if not any(plain in table for table in _tables()):
        known = {name for table in _tables() for name in table}
        raise Refused(f"unknown system call {show(plain)}", suggestion(plain, sorted(known)))
    return plain


_parsed: list[dict[str, int]] = []


def _tables() -> list[dict[str, int]]:
    if not _parsed:
        _parsed.extend(abi.numbers() for abi in ABIS.values())
    return _parsed


def _error(value: object) -> int:
    if not issubclass(type(value), str):
        return number(value, 1, _ERRNO_MAX, "the name or number of an error")
    name = string(value)
    code = getattr(errno, name, None) if name.startswith("E") else None
    if not isinstance(code, int):
        raise Refused(f"unknown error {show(name)}", suggestion(name, list(errno.errorcode.values())))
    return code
