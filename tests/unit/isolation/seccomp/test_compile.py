"""What a container's spec says becomes filters, in an order in which they can be loaded."""

from __future__ import annotations

import pytest

from haconiwa.errors import ConfigError, HostError, Where
from haconiwa.isolation.seccomp.compile import compile_filters
from haconiwa.kernel.seccomp import FILTER_FLAG, RET
from haconiwa.kernel.syscall_tables import ABIS
from haconiwa.spec.model import DEFAULT_CAPABILITIES
from haconiwa.spec.seccomp import Condition, FilterSpec, RuleSpec, SeccompSpec
from tests.support.bpf import run_filter

ABI = ABIS["x86_64"]
NUMBERS = ABI.numbers()
STRICTEST = (RET.KILL_PROCESS, RET.KILL_THREAD, RET.TRAP, RET.ERRNO, RET.USER_NOTIF, RET.TRACE, RET.LOG, RET.ALLOW)
HERE = Where("web.haco", 7)


def compiled(*filters: FilterSpec, profile: str = "default", text: str = "") -> tuple[tuple[int, bytes], ...]:
    spec = SeccompSpec(profile=profile, text=text, filters=filters, where=HERE)
    return compile_filters(spec, "x86_64", (6, 1), frozenset(DEFAULT_CAPABILITIES))


def answer(programs: tuple[tuple[int, bytes], ...], name: str, *arguments: int) -> int:
    """What the kernel makes of all answers: the strictest; of equal ones that of the filter loaded last."""
    answers = [run_filter(program, ABI.audit, NUMBERS[name], arguments) for _flags, program in reversed(programs)]
    return min(answers, key=lambda found: STRICTEST.index(found & 0xFFFF0000))


def rule(action: str, *names: str, code: int = 0, when: tuple[Condition, ...] = ()) -> RuleSpec:
    return RuleSpec(action=action, names=names, code=code, when=when)  # type: ignore[arg-type]


def is_(index: int, value: int) -> tuple[Condition, ...]:
    return (Condition(index=index, operator="==", value=value),)


def test_nothing_and_the_default() -> None:
    assert compiled(profile="unconfined") == ()
    assert answer(compiled(), "keyctl") == RET.ERRNO | 1
    assert [flags for flags, _program in compiled()] == [FILTER_FLAG.SPEC_ALLOW]


def test_rules_take_away_and_never_add() -> None:
    programs = compiled(FilterSpec(rules=(rule("allow", "keyctl"), rule("errno", "chmod", code=13))))
    assert answer(programs, "keyctl") == RET.ERRNO | 1
    assert answer(programs, "chmod") == RET.ERRNO | 13
    assert answer(programs, "read") == RET.ALLOW


def test_the_first_rule_that_fits_decides() -> None:
    rules = (rule("allow", "socket", when=is_(0, 1)), rule("errno", "socket", code=97), rule("kill", "socket"))
    programs = compiled(FilterSpec(rules=rules))
    assert [answer(programs, "socket", family) for family in (1, 2)] == [RET.ALLOW, RET.ERRNO | 97]


def test_actions() -> None:
    made = (rule("kill", "chmod"), rule("trap", "mkdir"), rule("trace", "rmdir", code=9), rule("log", "link"))
    programs = compiled(FilterSpec(rules=made), profile="unconfined")
    assert [answer(programs, name) for name in ("chmod", "mkdir", "rmdir", "link")] == [
        RET.KILL_PROCESS, RET.TRAP, RET.TRACE | 9, RET.LOG,
    ]  # fmt: skip
    only = FilterSpec(default="errno", code=38, rules=(rule("allow", "execve"),))
    assert answer(compiled(only), "read") == RET.ERRNO | 38


def test_execve_stands_for_execveat() -> None:
    programs = compiled(FilterSpec(default="kill", rules=(rule("allow", "execve", "read"),)))
    assert answer(programs, "execveat") == RET.ALLOW
    named = FilterSpec(default="kill", rules=(rule("allow", "execve"), rule("log", "execveat")))
    assert answer(compiled(named), "execveat") == RET.LOG


def test_what_functions_decide_the_profile_does_not() -> None:
    rules = (
        rule("allow", "mount", when=is_(3, 1)),
        rule("notify", "mount", when=is_(3, 2)),
        rule("notify", "keyctl", "mkdir"),
        rule("errno", "mkdir", code=13),
    )
    programs = compiled(FilterSpec(rules=rules))
    assert [bool(flags & FILTER_FLAG.NEW_LISTENER) for flags, _program in programs] == [True, False, False]
    assert answer(programs, "mount", 0, 0, 0, 1) == RET.ERRNO | 1
    assert answer(programs, "mount", 0, 0, 0, 2) == RET.USER_NOTIF
    assert answer(programs, "mount", 0, 0, 0, 3) == RET.ERRNO | 1
    assert answer(programs, "keyctl") == answer(programs, "mkdir") == RET.USER_NOTIF
    assert answer(programs, "request_key") == RET.ERRNO | 1


def test_a_function_among_strict_rules() -> None:
    strict = FilterSpec(default="kill", rules=(rule("allow", "execve", "read"), rule("notify", "mkdir")))
    programs = compiled(strict)
    assert answer(programs, "mkdir") == RET.USER_NOTIF
    assert answer(programs, "read") == RET.ALLOW
    assert answer(programs, "rmdir") == RET.KILL_PROCESS


def test_the_filter_that_forbids_to_load_another_is_loaded_last() -> None:
    strict = FilterSpec(default="kill", rules=(rule("allow", "execve"),))
    programs = compiled(strict, FilterSpec(rules=(rule("errno", "chmod", code=1),)))
    last = [run_filter(program, ABI.audit, NUMBERS["seccomp"]) == RET.ALLOW for _flags, program in programs]
    assert last == [True, True, False]
    with pytest.raises(ConfigError, match='two filters forbid the call "seccomp"'):
        compiled(strict, strict)


def test_a_profile_of_the_files_own() -> None:
    text = (
        '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["execve", "read"], "action": "SCMP_ACT_ALLOW"}]}'
    )
    programs = compiled(profile="/etc/own.json", text=text)
    assert answer(programs, "execveat") == answer(programs, "read") == RET.ALLOW
    assert answer(programs, "write") == RET.ERRNO | 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"defaultAction": "SCMP_ACT_ERRNO"}', 'seccomp: the filter forbids "execveat"'),
        ("{}", 'seccomp.profile: "own.json": defaultAction: None is no action'),
        ("", 'seccomp.profile: "own.json": is not JSON'),
    ],
)
def test_a_wrong_profile_is_told_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compiled(profile="/etc/own.json", text=text)
    assert str(raised.value).startswith(f"web.haco:7: {expected}")


def test_too_many_comparisons() -> None:
    many = tuple(rule("errno", "read", code=1, when=is_(0, n)) for n in range(5000))
    with pytest.raises(ConfigError, match=r"the filter is too large: \d+ instructions, and the kernel takes 4096"):
        compiled(FilterSpec(rules=many))


def test_a_machine_without_a_table() -> None:
    with pytest.raises(HostError, match='no system calls are known for the machine "riscv64"'):
        compile_filters(SeccompSpec(), "riscv64", (6, 1), frozenset())
