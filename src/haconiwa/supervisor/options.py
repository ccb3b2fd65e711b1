"""How a supervisor was asked to work."""

from __future__ import annotations

from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import BarnSpec, ContainerSpec


class SupervisorOptions(Record):
    """How a supervisor was asked to work.

    Attributes:
        haco_file: Real path of the file.
        daemon: The container outlives its caller, and its supervisor if need be.
        terminal: The program gets a terminal, relayed by the barn.
        stdio_fds: What the program gets as 0, 1 and 2 otherwise.
        log_relay_fd: Where output is handed over that leads to logs; -1 in the foreground.
        quiet: Print no messages of ours.
        trace: Show every step.
        adopts: Go on with the container of a supervisor that has died.
        plan: Makes the steps of a start anew.
        load: Executes the haco file again; called in a process of its own.
    """

    haco_file: str
    daemon: bool = False
    terminal: bool = False
    stdio_fds: tuple[int, int, int] = (0, 1, 2)
    log_relay_fd: int = -1
    quiet: bool = False
    trace: bool = False
    adopts: bool = False
    plan: Callable[[ContainerSpec], list[Step]] | None = None
    load: Callable[[], BarnSpec] | None = None
