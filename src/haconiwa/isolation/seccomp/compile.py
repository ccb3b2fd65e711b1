"""From what a container's spec says about system calls to the programs that are loaded."""

from __future__ import annotations

import os

from haconiwa.errors import ConfigError, HostError, Problem
from haconiwa.isolation.seccomp.bpf import TooLarge, assemble
from haconiwa.isolation.seccomp.default import default_policy
from haconiwa.isolation.seccomp.policy import Decision, Policy, PolicyRule, decisions, lets_through
from haconiwa.kernel.seccomp import FILTER_FLAG, RET
from haconiwa.kernel.syscall_tables import MACHINES
from haconiwa.spec.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from haconiwa.errors import Where
    from haconiwa.spec.seccomp import FilterSpec, RuleSpec, SeccompSpec

    Program = tuple[int, bytes]  # flags of seccomp(2), instructions

_ACTIONS = {
    "allow": RET.ALLOW,
    "errno": RET.ERRNO,
    "kill": RET.KILL_PROCESS,
    "log": RET.LOG,
    "notify": RET.USER_NOTIF,
    "trace": RET.TRACE,
    "trap": RET.TRAP,
}


def compile_filters(
    seccomp: SeccompSpec, machine: str, kernel: tuple[int, int], capabilities: frozenset[str]
) -> tuple[Program, ...]:
    """The programs of a container, in the order in which they are loaded.

    Args:
        seccomp: What the spec says.
        machine: As uname(2) calls it.
        kernel: Version as (major, minor).
        capabilities: Those that the container may have.

    Raises:
        ConfigError: A profile or a filter cannot be used; with the line that asked for it.
        HostError: The machine's calls are not known.
    """
    if machine not in MACHINES:
        what = f'no system calls are known for the machine "{machine}", so that none can be filtered'
        raise HostError(what, hint='set seccomp.profile = "unconfined" if you can do without', where=seccomp.where)
    policies = [
        *(policy for spec in seccomp.filters for policy in _own(spec, machine)),
        *_profile(seccomp, machine, kernel, capabilities),
    ]
    for policy, where in policies:
        _check_start(policy, where)
    # Once a filter is loaded that forbids to load another, none can follow.
    policies.sort(key=_loading_order)
    for policy, where in policies[:-1]:
        if not lets_through(policy, "seccomp"):
            what = 'seccomp: two filters forbid the call "seccomp", by which the second would be loaded'
            raise ConfigError(Problem(what, where or policies[-1][1], "allow it in one of them"))
    return tuple((policy.flags | FILTER_FLAG.SPEC_ALLOW, _assemble(policy, where)) for policy, where in policies)


def _loading_order(entry: tuple[Policy, Where | None]) -> tuple[bool, bool]:
    policy = entry[0]
    return (not policy.flags & FILTER_FLAG.NEW_LISTENER, not lets_through(policy, "seccomp"))


def _assemble(policy: Policy, where: Where | None) -> bytes:
    try:
        return assemble(policy)
    except TooLarge as error:
        problem = Problem(f"seccomp: the filter is too large: {error}", where, "compare fewer arguments")
        raise ConfigError(problem) from None


def _check_start(policy: Policy, where: Where | None) -> None:
    if not lets_through(policy, "execveat"):
        what = 'seccomp: the filter forbids "execveat", so that the container\'s own program could not be started'
        raise ConfigError(Problem(what, where, 'allow "execve" and "execveat"'))


def _profile(
    seccomp: SeccompSpec, machine: str, kernel: tuple[int, int], capabilities: frozenset[str]
) -> Iterator[tuple[Policy, Where | None]]:
    """The profile, without what a function of the haco file decides in its place."""
    if seccomp.profile == "unconfined":
        return
    if seccomp.profile == "default":
        policy = default_policy(machine, capabilities)
    else:
        policy = _from_file(seccomp, machine, kernel, capabilities)
    for spec in seccomp.filters:
        policy = _hand_over(policy, spec)
    yield _with_execveat(policy), seccomp.where


def _from_file(seccomp: SeccompSpec, machine: str, kernel: tuple[int, int], capabilities: frozenset[str]) -> Policy:
    from haconiwa.isolation.seccomp.docker import ProfileError, Setting, parse_profile

    try:
        return parse_profile(seccomp.text, Setting(machine=machine, kernel=kernel, capabilities=capabilities))
    except ProfileError as error:
        name = os.path.basename(seccomp.profile)
        problems = [Problem(f'seccomp.profile: "{name}": {what}', seccomp.where) for what in error.problems]
        raise ConfigError(problems) from None


def _own(spec: FilterSpec, machine: str) -> Iterator[tuple[Policy, Where | None]]:
    """The filters of one block: what is told to functions, which must be loaded first, and all the rest."""
    if any(rule.action == "notify" for rule in spec.rules):
        yield _told(spec, machine), spec.where
    rules = [replace(rule, action="allow", code=0) if rule.action == "notify" else rule for rule in spec.rules]
    default = _ACTIONS[spec.default] | spec.code
    policy = Policy(
        abis=MACHINES[machine], rules=tuple(_rule(rule) for rule in rules), default=default, unknown=default
    )
    yield _with_execveat(policy), spec.where


def _told(spec: FilterSpec, machine: str) -> Policy:
    rules = [rule if rule.action == "notify" else replace(rule, action="allow", code=0) for rule in spec.rules]
    flags = FILTER_FLAG.NEW_LISTENER
    return Policy(abis=MACHINES[machine], rules=tuple(_rule(rule) for rule in rules), flags=flags)


def _rule(rule: RuleSpec) -> PolicyRule:
    return PolicyRule(names=rule.names, action=_ACTIONS[rule.action] | rule.code, when=rule.when)


def _with_execveat(policy: Policy) -> Policy:
    """Take what is said of execve for execveat too, by which programs are started here, unless that is named itself."""
    if any("execveat" in rule.names for rule in policy.rules):
        return policy
    rules = [
        replace(rule, names=(*rule.names, "execveat")) if "execve" in rule.names and not rule.when else rule
        for rule in policy.rules
    ]
    return replace(policy, rules=tuple(rules))


def _hand_over(policy: Policy, spec: FilterSpec) -> Policy:
    """Let calls through that a function decides: what a profile forbids nobody would be asked about.

    The other rules of the block that come before leave the decision with the profile.
    """
    told = {name for rule in spec.rules if rule.action == "notify" for name in rule.names}
    known = decisions(policy)
    rules = []
    for name in sorted(told):
        before = known.get(name, (Decision(action=policy.default),))
        for rule in spec.rules:
            if name not in rule.names:
                continue
            answers = (Decision(action=RET.ALLOW),) if rule.action == "notify" else before
            rules += [PolicyRule(names=(name,), action=a.action, when=(*rule.when, *a.when)) for a in answers]
    return replace(policy, rules=(*rules, *policy.rules)) if rules else policy
