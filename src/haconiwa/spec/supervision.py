"""What a supervisor looks after besides hooks: readiness, health, restarts, events of the control groups."""

from __future__ import annotations

from haconiwa.errors import Where
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    HealthAction = Literal["restart", "stop", "none"]
    RestartWord = Literal["no", "on-failure", "always"]
    CgroupEvent = Literal["memory_pressure", "oom", "pids_max"]
    PressureLevel = Literal["low", "medium", "critical"]

HEALTH_ACTIONS = ("restart", "stop", "none")
RESTART_WORDS = ("no", "on-failure", "always")
CGROUP_EVENTS = ("memory_pressure", "oom", "pids_max")
PRESSURE_LEVELS = ("low", "medium", "critical")


class ProbeSpec(Record):
    """One way to look whether a container works; nothing set when a function alone decides.

    Attributes:
        port: A TCP port on which somebody listens in the container's network.
        http: A URL that answers with a status from 200 to 399, asked for in the container's network.
        exec: A command that exits with 0 in the container.
        file: A path inside the container that exists.
    """

    port: int | None = None
    http: str | None = None
    exec: tuple[str, ...] = ()
    file: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it looks at nothing."""
        return self == ProbeSpec()


class ReadinessSpec(Record):
    """Looking whether a container is ready, again and again until it is.

    Attributes:
        function: Called after each look with the container and the outcome; what it returns decides, None leaves it.
        timeout_s: After which it is given up.
        interval_s: Between two looks.
    """

    probe: ProbeSpec
    function: Callable[[Any, bool], Any] | None = None
    timeout_s: float = 1800.0
    interval_s: float = 0.01
    where: Where | None = None


class HealthcheckSpec(Record):
    """Looking whether a container still works, for as long as it runs.

    Attributes:
        function: Called with the container instead of a probe; true is healthy.
        interval_s: Between two looks.
        timeout_s: How long a look may take.
        retries: So many failures in a row make it unhealthy.
        start_period_s: Before which a failure does not count.
        action: What is done then: one of `HEALTH_ACTIONS`, or a function of the container.
    """

    probe: ProbeSpec
    function: Callable[[Any], Any] | None = None
    interval_s: float = 30.0
    timeout_s: float = 5.0
    retries: int = 3
    start_period_s: float = 0.0
    action: HealthAction | Callable[[Any], Any] = "restart"
    where: Where | None = None


class RestartSpec(Record):
    """When a container that has ended is started again.

    Attributes:
        max_retries: So many times in a row; None for ever.
        backoff_s: Before the first start; doubled before each further one.
    """

    policy: RestartWord = "no"
    max_retries: int | None = None
    backoff_s: float = 1.0
    where: Where | None = None


class CgroupHookSpec(Record):
    """A function for an event of the container's groups.

    Attributes:
        type: One of `CGROUP_EVENTS`.
        level: Of memory pressure, one of `PRESSURE_LEVELS`; empty for other events.
        timeout_s: After which the function is interrupted.
    """

    type: CgroupEvent
    function: Callable[[Any], Any]
    level: str = ""
    timeout_s: float | None = None
    where: Where | None = None
