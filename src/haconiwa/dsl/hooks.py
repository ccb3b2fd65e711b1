"""The settings that take functions: hooks, timers and signal handlers."""
# ruff: noqa: F811

from __future__ import annotations

from haconiwa.dsl.functions import function
from haconiwa.dsl.node import Node, Recording, refuse_later
from haconiwa.spec.model import ABORT_POINTS, BARN_POINTS, HOOK_POINTS, HookSpec, SignalHandlerSpec, TimerSpec
from haconiwa.spec.names import CHILD_POINTS, SIGNALS
from haconiwa.spec.record import replace
from haconiwa.spec.values import Refused, number, one_of, show, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeVar, overload

    from haconiwa.errors import Where
    from haconiwa.spec.model import OnError
    from haconiwa.spec.names import BarnPoint, ContainerPoint, SignalName

    Function = TypeVar("Function", bound=Callable[[Any], object])
    HookPoint: TypeAlias = BarnPoint | ContainerPoint
else:
    from haconiwa.dsl.node import overload  # which ruff does not know: hence F811 below

_UNITS_S = {"msec": 0.001, "sec": 1, "min": 60, "hour": 3600}
_LONGEST_MSEC = 366 * 24 * 3600 * 1000
_LONGEST_SEC = _LONGEST_MSEC // 1000
_MISSING: Any = object()


class HookSettings(Node):
    """The part of a container that takes functions. Each can be used as a decorator or be given the function."""

    __slots__ = ()
    _takes_barn_points = False

    @overload
    def add_general_hook(
        self, point: HookPoint, *, on_error: OnError | None = None, timeout_sec: int | None = None
    ) -> Callable[[Function], Function]: ...
    @overload
    def add_general_hook(
        self, point: HookPoint, function: Function, *, on_error: OnError | None = None, timeout_sec: int | None = None
    ) -> Function: ...
    def add_general_hook(
        self, point: Any, function: Any = _MISSING, *, on_error: Any = None, timeout_sec: Any = None
    ) -> Any:
        """Call a function at a point of the container's life.

        Args:
            point: When; several hooks of one point are called in the order in which they were added.
            function: Called with one argument: the live container, or the barn for the barn's points.
            on_error: ``abort`` (the default before the program runs) or ``continue`` (the default after).
            timeout_sec: After which it is interrupted, and has failed; no limit unless given.
        """
        if function is _MISSING:
            if callable(point):
                return self._without_words("add_general_hook", point, "hook point", "POINT")
            return lambda function: self.add_general_hook(point, function, on_error=on_error, timeout_sec=timeout_sec)
        with Recording(self, "add_general_hook", barns_own=_is_barns(point)) as where:
            self._values.setdefault("hooks", []).append(self._hook(point, function, on_error, timeout_sec, where))
        return function

    def _without_words(self, method: str, function: object, lacks: str, word: str) -> object:
        """Record that a setting was used as a decorator without parentheses, or given nothing but a function."""
        with Recording(self, method, barns_own=True):
            raise Refused(f"is given a function and no {lacks}", f'write @config.{method}("{word}") above it')
        return function

    def _hook(self, point: object, function_: object, on_error: object, timeout_sec: object, where: Where) -> HookSpec:
        name = string(point, "the name of a hook point")
        if name not in HOOK_POINTS:
            refuse_later(f'add_general_hook("{name}")')
        name = one_of(name, HOOK_POINTS, "a hook point")
        if name in BARN_POINTS and not self._takes_barn_points:
            raise Refused(f'the hook point "{name}" belongs to the barn, a child has none')
        default: OnError = "abort" if name in ABORT_POINTS else "continue"
        chosen: Any = default if on_error is None else one_of(on_error, ("abort", "continue"), '"abort" or "continue"')
        checked = function(function_, 1, coroutine=name not in CHILD_POINTS)
        return HookSpec(point=name, function=checked, on_error=chosen, timeout_s=_time_limit(timeout_sec), where=where)

    @overload
    def add_async_hook(
        self, *, msec: int = ..., sec: int = ..., min: int = ..., hour: int = ...,
        interval_msec: int | None = None, limit_count: int | None = None, timeout_sec: int | None = None,
    ) -> Callable[[Function], Function]: ...  # fmt: skip
    @overload
    def add_async_hook(
        self, function: Function, *, msec: int = ..., sec: int = ..., min: int = ..., hour: int = ...,
        interval_msec: int | None = None, limit_count: int | None = None, timeout_sec: int | None = None,
    ) -> Function: ...  # fmt: skip
    def add_async_hook(
        self,
        function: Any = _MISSING,
        *,
        interval_msec: Any = None,
        limit_count: Any = None,
        timeout_sec: Any = None,
        **units: Any,
    ) -> Any:
        """Call a function in the supervisor while the container runs: once after a time, or again and again.

        Args:
            function: Called with one argument, the live container.
            interval_msec: The time between calls; without it there is one call.
            limit_count: How many calls at most; only with `interval_msec`.
            timeout_sec: After which a call is interrupted; no limit unless given.
            **units: The time before the first call: exactly one of `msec`, `sec`, `min` and `hour`.
        """
        if function is _MISSING:
            return lambda function: self.add_async_hook(
                function, interval_msec=interval_msec, limit_count=limit_count, timeout_sec=timeout_sec, **units
            )
        with Recording(self, "add_async_hook") as where:
            timer = _timer(function, units, interval_msec, limit_count, where)
            timer = replace(timer, timeout_s=_time_limit(timeout_sec)) if timeout_sec is not None else timer
            self._values.setdefault("timers", []).append(timer)
        return function

    after_spawn = add_async_hook

    @overload
    def add_signal_handler(
        self, signal: SignalName, *, timeout_sec: int | None = None
    ) -> Callable[[Function], Function]: ...
    @overload
    def add_signal_handler(
        self, signal: SignalName, function: Function, *, timeout_sec: int | None = None
    ) -> Function: ...
    def add_signal_handler(self, signal: Any, function: Any = _MISSING, *, timeout_sec: Any = None) -> Any:
        """Call a function when the supervisor receives a signal.

        Args:
            signal: One of those the supervisor leaves to you.
            function: Called with one argument, the live container.
            timeout_sec: After which it is interrupted; no limit unless given.
        """
        if function is _MISSING:
            if callable(signal):
                return self._without_words("add_signal_handler", signal, "signal", "SIGNAL")
            return lambda function: self.add_signal_handler(signal, function, timeout_sec=timeout_sec)
        with Recording(self, "add_signal_handler") as where:
            handler = _signal_handler(signal, function, timeout_sec, where)
            self._values.setdefault("handlers", []).append(handler)
        return function

    add_handler = add_signal_handler


def _is_barns(point: Any) -> bool:
    return issubclass(type(point), str) and str.__str__(point) in BARN_POINTS


def _signal_handler(signal: object, function_: object, timeout_sec: object, where: Where) -> SignalHandlerSpec:
    name = string(signal, "the name of a signal").upper().removeprefix("SIG")
    if name not in SIGNALS:
        raise Refused(f"{show(name)} is not left to haco files", f"take one of {' '.join(SIGNALS)}")
    return SignalHandlerSpec(
        signal=name, function=function(function_, 1), timeout_s=_time_limit(timeout_sec), where=where
    )


def _timer(
    function_: object, units: dict[str, object], interval_msec: object, limit_count: object, where: Where
) -> TimerSpec:
    unknown = sorted(set(units) - set(_UNITS_S))
    given = {unit: value for unit, value in units.items() if value is not None}
    if unknown or len(given) != 1:
        problem = f"{unknown[0]}= is unknown" if unknown else f"{len(given)} times are given"
        raise Refused(f"{problem}; it takes exactly one of msec, sec, min, hour")
    ((unit, value),) = given.items()
    factor = _UNITS_S[unit]
    first = number(value, 1, int(_LONGEST_MSEC / 1000 / factor), f"{unit}= as a whole number") * factor
    if limit_count is not None and interval_msec is None:
        raise Refused("limit_count= needs interval_msec=")
    return TimerSpec(
        function=function(function_, 1),
        first_s=first,
        interval_s=None if interval_msec is None else _count(interval_msec, "interval_msec") / 1000,
        limit_count=None if limit_count is None else _count(limit_count, "limit_count"),
        where=where,
    )


def _time_limit(timeout_sec: object) -> float | None:
    return (
        None if timeout_sec is None else float(number(timeout_sec, 1, _LONGEST_SEC, "timeout_sec= as a whole number"))
    )


def _count(value: object, name: str) -> int:
    return number(value, 1, _LONGEST_MSEC, f"{name}= as a whole number")
