"""What a filter decides, in the form that is compiled: rules in their order, and numbers for names."""

from __future__ import annotations

from haconiwa.kernel.seccomp import RET
from haconiwa.kernel.syscall_tables import ABIS
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.seccomp import Condition

    Chain = tuple["Decision", ...]

EPERM = 1
ENOSYS = 38


class Decision(Record):
    """One possible answer to a call.

    Attributes:
        when: All must hold; nothing after a decision without conditions is ever reached.
        action: What the kernel is told, an action of `RET` with its data.
    """

    action: int
    when: tuple[Condition, ...] = ()


class PolicyRule(Record):
    """A decision about some calls by name. A name that an ABI does not have is passed over there."""

    names: tuple[str, ...]
    action: int
    when: tuple[Condition, ...] = ()


class Policy(Record):
    """One filter.

    Attributes:
        abis: Those that may be used; a call by another one ends the process.
        rules: The first that fits decides.
        default: For known calls that no rule fits.
        unknown: For numbers that are in no table.
        flags: For seccomp(2).
    """

    abis: tuple[str, ...]
    rules: tuple[PolicyRule, ...]
    default: int = RET.ALLOW
    unknown: int = RET.ALLOW
    flags: int = 0


def errno_action(number: int) -> int:
    """The action that makes a call fail with an error number."""
    return RET.ERRNO | number


def decisions(policy: Policy) -> dict[str, tuple[Decision, ...]]:
    """The decisions about each call that a rule names, the last one without conditions."""
    found: dict[str, list[Decision]] = {}
    closed = set()
    for rule in policy.rules:
        for name in rule.names:
            if name not in closed:
                found.setdefault(name, []).append(Decision(action=rule.action, when=rule.when))
                if not rule.when:
                    closed.add(name)
    last = Decision(action=policy.default)
    return {name: tuple(chain) if name in closed else (*chain, last) for name, chain in found.items()}


def numbered(policy: Policy) -> dict[str, dict[int, tuple[Decision, ...]]]:
    """By ABI and then by number, the decisions about every known call."""
    by_name = decisions(policy)
    last = (Decision(action=policy.default),)
    return {
        abi: {number: by_name.get(name, last) for name, number in ABIS[abi].numbers().items()} for abi in policy.abis
    }


def lets_through(policy: Policy, name: str) -> bool:
    """Whether a call may pass, under some condition at least."""
    passing = (RET.ALLOW, RET.LOG)
    return any(
        decision.action in passing for decision in decisions(policy).get(name, (Decision(action=policy.default),))
    )
