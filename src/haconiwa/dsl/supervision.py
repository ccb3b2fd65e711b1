"""The settings of what a supervisor looks after: readiness, health, restarts, the order of a barn."""
# ruff: noqa: F811

from __future__ import annotations

from haconiwa.dsl.node import Node, Recording, Setting
from haconiwa.spec.values import container_name, items, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, TypeVar, overload

    from haconiwa.dsl.paths import StrPath
    from haconiwa.spec.supervision import CgroupEvent, HealthAction, PressureLevel, RestartWord

    ReadinessFunction = TypeVar("ReadinessFunction", bound=Callable[[Any, bool], object])
    Function = TypeVar("Function", bound=Callable[[Any], object])
else:
    from haconiwa.dsl.node import overload  # which ruff does not know: hence F811 below

CONDITIONS = ("ready", "started")


def _names(value: object) -> tuple[str, ...]:
    if issubclass(type(value), str):  # a stranger's class may say anything to isinstance
        return (container_name(value),)
    return tuple(items(value, container_name, "a name, or a list of names"))


def _condition(value: object) -> str:
    return one_of(value, CONDITIONS, '"ready" or "started"')


class SupervisionSettings(Node):
    """The part of a container that its supervisor looks after."""

    __slots__ = ()

    after: Setting[str | Sequence[str], tuple[str, ...]] = Setting(_names, ())
    """Other containers of the barn: this one is started after them, and stopped before them."""

    condition: Setting[Literal["ready", "started"], str] = Setting(_condition, "ready")
    """Whether those of `after` must be ready, or only run."""

    @overload
    def add_readiness_hook(
        self, *, port: int | None = None, http: str | None = None, exec: Sequence[StrPath] | None = None,
        file: StrPath | None = None, timeout: int = ..., interval_msec: int | None = None,
    ) -> Callable[[ReadinessFunction], ReadinessFunction]: ...  # fmt: skip
    @overload
    def add_readiness_hook(
        self, function: ReadinessFunction, *, port: int | None = None, http: str | None = None,
        exec: Sequence[StrPath] | None = None, file: StrPath | None = None, timeout: int = ...,
        interval_msec: int | None = None,
    ) -> ReadinessFunction: ...  # fmt: skip
    def add_readiness_hook(
        self, function: Any = None, *, timeout: Any = 1800, interval_msec: Any = None, **probe: Any
    ) -> Any:
        """Say when the container is ready, and be called about it. Can be used without a function, or as a decorator.

        Args:
            function: Called after each look with the live container and whether the look was good. The container is
                ready once it returns true; a function that returns nothing leaves it at what was seen.
            timeout: Seconds after which the container is given up as never ready.
            interval_msec: Between two looks; 10, of `http` 100, of `exec` 1000, unless given. The first is after 50 ms.
            **probe: What is looked at, one of: `port`, on which somebody listens; `http`, a URL; `exec`, a command that
                exits with 0; `file`, a path inside that exists. Without one the function alone decides.
        """
        with Recording(self, "add_readiness_hook") as where:
            from haconiwa.dsl.probes import readiness, with_function

            hooks = self._values.setdefault("readiness", [])
            hooks.append(readiness(function, probe, timeout, interval_msec, where))
            at = len(hooks) - 1

            def decorate(function: Any) -> Any:
                with Recording(self, "add_readiness_hook"):
                    hooks[at] = with_function(hooks[at], function, 2)
                return function

            return decorate if function is None else function
        return (lambda function: function) if function is None else function

    @overload
    def healthcheck(
        self, *, port: int | None = None, http: str | None = None, exec: Sequence[StrPath] | None = None,
        file: StrPath | None = None, interval_sec: int = ..., timeout_sec: int = ..., retries: int = ...,
        start_period_sec: int = ..., action: HealthAction | Callable[[Any], object] = ...,
    ) -> Callable[[Function], Function]: ...  # fmt: skip
    @overload
    def healthcheck(
        self, function: Function, *, interval_sec: int = ..., timeout_sec: int = ..., retries: int = ...,
        start_period_sec: int = ..., action: HealthAction | Callable[[Any], object] = ...,
    ) -> Function: ...  # fmt: skip
    def healthcheck(
        self, function: Any = None, *, interval_sec: Any = 30, timeout_sec: Any = 5, retries: Any = 3,
        start_period_sec: Any = 0, action: Any = "restart", **probe: Any,
    ) -> Any:  # fmt: skip
        """Look again and again whether the container still works. Can be used as a decorator.

        A second one takes the place of the first.

        Args:
            function: Called with the live container instead of a look; true is healthy.
            interval_sec: Between two looks, and before the first.
            timeout_sec: How long a look may take.
            retries: So many failures in a row make it unhealthy.
            start_period_sec: Failures before this do not count.
            action: What is done then: ``restart``, ``stop``, ``none``, or a function of the live container.
            **probe: What is looked at: `port`, `http`, `exec` or `file`, as for `add_readiness_hook`.
        """
        with Recording(self, "healthcheck") as where:
            from haconiwa.dsl.probes import healthcheck, with_function

            times = {"interval_s": interval_sec, "timeout_s": timeout_sec, "start_period_s": start_period_sec}
            self._values["healthcheck"] = healthcheck(function, probe, times, retries, action, where)

            def decorate(function: Any) -> Any:
                with Recording(self, "healthcheck"):
                    self._values["healthcheck"] = with_function(self._values["healthcheck"], function, 1)
                return function

            return decorate if function is None else function
        return (lambda function: function) if function is None else function

    @overload
    def add_cgroup_hook(
        self, *, type: CgroupEvent, level: PressureLevel | None = None, timeout_sec: int | None = None
    ) -> Callable[[Function], Function]: ...
    @overload
    def add_cgroup_hook(
        self, function: Function, *, type: CgroupEvent, level: PressureLevel | None = None,
        timeout_sec: int | None = None,
    ) -> Function: ...  # fmt: skip
    def add_cgroup_hook(self, function: Any = None, *, type: Any, level: Any = None, timeout_sec: Any = None) -> Any:
        """Call a function in the supervisor when the kernel tells of an event of the container's control groups.

        Args:
            function: Called with one argument, the live container. Can be used as a decorator.
            type: ``memory_pressure``; ``oom``, a process is killed because memory is used up; ``pids_max``, a process
                could not be made because of the limit.
            level: Of memory pressure: ``low``, ``medium`` (the default) or ``critical``.
            timeout_sec: After which it is interrupted; no limit unless given.
        """
        if function is None:
            return lambda function: self.add_cgroup_hook(function, type=type, level=level, timeout_sec=timeout_sec)
        with Recording(self, "add_cgroup_hook") as where:
            from haconiwa.dsl.probes import cgroup_hook

            hook = cgroup_hook(function, type, level, timeout_sec, where)
            self._values.setdefault("cgroup_hooks", []).append(hook)
        return function

    def restart_policy(self, policy: RestartWord, *, max_retries: int | None = None, backoff_sec: int = 1) -> None:
        """Start the container again when it has ended by itself; what is stopped or killed by a command stays down.

        Args:
            policy: ``no``, ``on-failure`` or ``always``.
            max_retries: So many times in a row; a run of a minute or more begins anew.
            backoff_sec: Seconds before the first start; doubled each time, up to a minute.
        """
        with Recording(self, "restart_policy") as where:
            from haconiwa.dsl.probes import restart

            self._values["restart"] = restart(policy, max_retries, backoff_sec, where)
