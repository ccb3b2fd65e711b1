"""Compiled filters decide as their rules do, whatever these are: on both machines, for every ABI."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haconiwa.isolation.seccomp.bpf import TooLarge, assemble
from haconiwa.isolation.seccomp.policy import Policy, PolicyRule
from haconiwa.kernel.seccomp import RET
from haconiwa.kernel.syscall_tables import ABIS, MACHINES
from haconiwa.spec.seccomp import ARGUMENT_MAX, Condition
from tests.support.bpf import run_filter

DEFAULT = RET.ERRNO | 1
UNKNOWN = RET.ERRNO | 38
NAMES = ("read", "write", "socket", "clone3", "ioctl", "set_tls", "open", "file_setattr", "execve")

values = st.one_of(
    st.integers(0, ARGUMENT_MAX),
    st.sampled_from([0, 1, 2, 40, 2**31, 2**32 - 1, 2**32, 2**32 + 40, 2**63, ARGUMENT_MAX]),
)
conditions = st.builds(
    lambda index, operator, value, mask: Condition(index=index, operator=operator, value=value, mask=mask),
    st.integers(0, 5),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    values,
    st.one_of(st.just(ARGUMENT_MAX), values),
)
rules = st.builds(
    lambda names, code, when: PolicyRule(names=tuple(names), action=RET.ERRNO | code, when=tuple(when)),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
    st.integers(2, 30),
    st.lists(conditions, max_size=3),
)


def by_hand(policy: Policy, abi: str, name: str, arguments: list[int]) -> int:
    for rule in policy.rules:
        if name in rule.names and all(condition.holds(arguments) for condition in rule.when):
            return rule.action
    return policy.default


@given(
    st.sampled_from(sorted(MACHINES)),
    st.lists(rules, max_size=6),
    st.sampled_from(NAMES),
    st.lists(values, min_size=6, max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_compiled_is_as_by_hand(machine: str, given: list[PolicyRule], name: str, arguments: list[int]) -> None:
    policy = Policy(abis=MACHINES[machine], rules=tuple(given), default=DEFAULT, unknown=UNKNOWN)
    program = assemble(policy)
    for abi in MACHINES[machine]:
        number = ABIS[abi].numbers().get(name)
        if number is not None:
            assert run_filter(program, ABIS[abi].audit, number, arguments) == by_hand(policy, abi, name, arguments)


@given(st.sets(st.sampled_from(sorted(ABIS["x86_64"].numbers())), max_size=200))
@settings(max_examples=30, deadline=None)
def test_every_number_is_found(allowed: set[str]) -> None:
    policy = Policy(
        abis=MACHINES["x86_64"], rules=(PolicyRule(names=tuple(allowed), action=RET.ALLOW),), default=DEFAULT
    )
    program = assemble(policy)
    for abi in MACHINES["x86_64"]:
        for name, number in ABIS[abi].numbers().items():
            expected = RET.ALLOW if name in allowed else DEFAULT
            assert run_filter(program, ABIS[abi].audit, number) == expected, f"{abi} {name}"


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_numbers_without_a_name_are_unknown(machine: str) -> None:
    program = assemble(Policy(abis=MACHINES[machine], rules=(), default=DEFAULT, unknown=UNKNOWN))
    for abi in MACHINES[machine]:
        known = set(ABIS[abi].numbers().values())
        for number in {ABIS[abi].bit | n for n in (*range(600), 0x3FFFFFFF, 0xF0000)} - known:
            assert run_filter(program, ABIS[abi].audit, number) == UNKNOWN, f"{abi} {number}"


def test_an_abi_that_is_not_named_ends_the_process() -> None:
    program = assemble(Policy(abis=("x86_64",), rules=(), default=RET.ALLOW))
    assert run_filter(program, ABIS["x86_64"].audit, 0) == RET.ALLOW
    assert run_filter(program, ABIS["i386"].audit, 0) == RET.KILL_PROCESS
    assert run_filter(program, ABIS["x32"].audit, ABIS["x32"].bit) == RET.KILL_PROCESS
    assert run_filter(program, ABIS["aarch64"].audit, 0) == RET.KILL_PROCESS


def test_ten_thousand_rules() -> None:
    numbers = sorted(ABIS["x86_64"].numbers())
    many = tuple(PolicyRule(names=(numbers[n % len(numbers)],), action=RET.ERRNO | 2 + n % 50) for n in range(10_000))
    program = assemble(Policy(abis=MACHINES["x86_64"], rules=many, default=RET.ALLOW))
    assert run_filter(program, ABIS["x86_64"].audit, ABIS["x86_64"].numbers()[numbers[3]]) == RET.ERRNO | 5


def test_too_many_comparisons_are_refused() -> None:
    many = tuple(
        PolicyRule(names=("read",), action=DEFAULT, when=(Condition(index=0, operator="==", value=n),))
        for n in range(10_000)
    )
    with pytest.raises(TooLarge, match="the kernel takes 4096"):
        assemble(Policy(abis=("x86_64",), rules=many, default=RET.ALLOW))


def test_comparisons_over_a_long_way() -> None:
    many = tuple(
        PolicyRule(names=("read",), action=RET.ERRNO | 2 + n, when=(Condition(index=0, operator="==", value=n),))
        for n in range(500)
    )
    program = assemble(Policy(abis=("x86_64",), rules=many, default=RET.ALLOW))
    for n in (0, 1, 250, 499):
        assert run_filter(program, ABIS["x86_64"].audit, 0, [n]) == RET.ERRNO | 2 + n
    assert run_filter(program, ABIS["x86_64"].audit, 0, [500]) == RET.ALLOW
