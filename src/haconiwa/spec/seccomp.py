"""Which system calls a container may make: the records of its seccomp filters.

See: seccomp(2)
"""

from __future__ import annotations

from haconiwa.errors import Where
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

    Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
    FilterAction = Literal["kill", "errno", "trap", "trace", "log", "allow", "notify"]
    DefaultAction = Literal["kill", "errno", "trap", "trace", "log", "allow"]

DEFAULT_ACTIONS = ("kill", "errno", "trap", "trace", "log", "allow")
"""What a filter can do with the calls that no rule names."""

PROFILES = ("default", "unconfined")
"""The values of ``seccomp.profile`` that are not the path of a file."""

NOT_TOLD = ("brk", "execveat", "exit_group", "mmap", "munmap", "seccomp", "sendmsg", "write")
"""Calls that the container's process itself makes when its filter is loaded already; a function cannot decide them."""

ARGUMENT_MAX = 2**64 - 1
"""An argument is a register of 64 bits; programs of 32 bits fill the lower half."""


class Condition(Record):
    """A comparison of one argument: ``(argument & mask) OPERATOR value``, all unsigned.

    Attributes:
        index: Number of the argument, from 0 to 5.
    """

    index: int
    operator: Comparison
    value: int
    mask: int = ARGUMENT_MAX

    def holds(self, arguments: Sequence[int]) -> bool:
        """Whether it is true of the arguments of a call."""
        found, value = arguments[self.index] & self.mask, self.value
        return {
            "==": found == value,
            "!=": found != value,
            "<": found < value,
            "<=": found <= value,
            ">": found > value,
            ">=": found >= value,
        }[self.operator]


class RuleSpec(Record):
    """What happens to some calls.

    Attributes:
        names: System calls.
        code: The error number of ``errno``, the message for the tracer of ``trace``.
        when: All must hold; without any the rule is about every such call.
        handler: The function of ``notify``, called in the supervisor.
    """

    action: FilterAction
    names: tuple[str, ...]
    code: int = 0
    when: tuple[Condition, ...] = ()
    handler: Callable[[Any], Any] | None = None
    where: Where | None = None


class FilterSpec(Record):
    """Rules in their order, of which the first that fits a call decides.

    Attributes:
        default: What happens to the calls that no rule fits.
        code: As that of a rule, for the default.
    """

    default: DefaultAction = "allow"
    code: int = 0
    rules: tuple[RuleSpec, ...] = ()
    where: Where | None = None


class SeccompSpec(Record):
    """All filters of a container. A call is let through when all of them do.

    Attributes:
        profile: One of `PROFILES`, or the host path of a profile in Docker's form.
        text: What that file held.
        filters: Of the haco file's own.
    """

    profile: str = "default"
    text: str = ""
    filters: tuple[FilterSpec, ...] = ()
    where: Where | None = None

    @property
    def filters_calls(self) -> bool:
        """Whether there is anything to load."""
        return self.profile != "unconfined" or bool(self.filters)


def forbids(filter_spec: FilterSpec, name: str) -> bool:
    """Whether a filter lets a call through under no condition at all."""
    for rule in filter_spec.rules:
        if name in rule.names:
            if rule.action in ("allow", "log"):
                return False
            if not rule.when:
                return True
    return filter_spec.default not in ("allow", "log")
