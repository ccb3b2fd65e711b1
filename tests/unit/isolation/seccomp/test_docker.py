"""Profiles in Docker's form: what they say, what is wrong with them, and that nothing makes the parser fail."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haconiwa.isolation.seccomp.bpf import assemble
from haconiwa.isolation.seccomp.docker import ProfileError, Setting, parse_profile
from haconiwa.kernel.seccomp import FILTER_FLAG, RET
from haconiwa.kernel.syscall_tables import ABIS
from tests.support.bpf import run_filter

HERE = Setting(machine="x86_64", kernel=(6, 1), capabilities=frozenset({"chown"}))
ALLOW = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
ARCHITECTURES = [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
]


def profile(*rules: dict[str, Any], **fields: Any) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules, **fields})


def answer(text: str, name: str, *arguments: int, setting: Setting = HERE, abi: str = "") -> int:
    program = assemble(parse_profile(text, setting))
    chosen = ABIS[abi or setting.machine]
    return run_filter(program, chosen.audit, chosen.numbers()[name], arguments)


def problems(text: str) -> list[str]:
    with pytest.raises(ProfileError) as raised:
        parse_profile(text, HERE)
    return raised.value.problems


def test_allowed_and_not() -> None:
    assert answer(profile(ALLOW), "read") == RET.ALLOW
    assert answer(profile(ALLOW), "write") == RET.ERRNO | 1
    assert answer(profile(ALLOW, defaultErrnoRet=13), "write") == RET.ERRNO | 13
    assert answer(profile(ALLOW, defaultErrno="EACCES"), "write") == RET.ERRNO | 13
    assert answer(profile({"name": "read", "action": "SCMP_ACT_KILL"}), "read") == RET.KILL_THREAD
    assert answer(profile({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}), "read") == RET.ERRNO | 38
    assert answer(profile({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errno": "ENOSYS"}), "read") == RET.ERRNO | 38
    assert answer(profile(ALLOW, defaultAction="SCMP_ACT_KILL_PROCESS"), "write") == RET.KILL_PROCESS
    trace = {"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 7}
    assert answer(profile(trace), "read") == RET.TRACE | 7
    assert answer(profile({**ALLOW, "names": ["s390_runtime_instr", "read"]}), "read") == RET.ALLOW


def test_an_unknown_number_does_not_exist() -> None:
    program = assemble(parse_profile(profile(ALLOW), HERE))
    assert run_filter(program, ABIS["x86_64"].audit, 599) == RET.ERRNO | 38


def test_architectures() -> None:
    only = profile(ALLOW)
    assert answer(only, "read", abi="i386") == RET.KILL_PROCESS
    for text in (profile(ALLOW, archMap=ARCHITECTURES), profile(ALLOW, architectures=["SCMP_ARCH_X86"])):
        assert answer(text, "read", abi="i386") == RET.ALLOW
    assert answer(profile(ALLOW, archMap=ARCHITECTURES), "read", abi="x32") == RET.ALLOW
    arm = Setting(machine="aarch64", kernel=(6, 1), capabilities=frozenset())
    assert answer(profile(ALLOW, archMap=ARCHITECTURES), "read", setting=arm, abi="arm") == RET.ALLOW


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.10"}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"includes": {}, "excludes": None}, True),
        ({"includes": {"minKernel": "4.8", "caps": ["CAP_BPF"]}}, False),
    ],
)
def test_when_a_rule_applies(condition: dict[str, Any], expected: bool) -> None:
    assert answer(profile({**ALLOW, **condition}), "read") == (RET.ALLOW if expected else RET.ERRNO | 1)


def argument(op: str, value: int, two: int = 0, index: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}


def test_arguments() -> None:
    masked = profile({**ALLOW, "args": [argument("MASKED_EQ", 0x7E020000)]})
    assert answer(masked, "read", 0x11) == RET.ALLOW
    assert answer(masked, "read", 0x10000011) == RET.ERRNO | 1
    both = profile({**ALLOW, "args": [argument("GE", 2), argument("NE", 9, index=1)]})
    assert [answer(both, "read", *found) == RET.ALLOW for found in ((2, 0), (1, 0), (5, 9))] == [True, False, False]
    either = profile({**ALLOW, "args": [argument("EQ", 1), argument("EQ", 5)]})
    assert [answer(either, "read", found) == RET.ALLOW for found in (1, 5, 2)] == [True, True, False]


def test_of_several_rules_about_a_call_the_one_without_comparisons_counts() -> None:
    kill = {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS", "args": [argument("EQ", 1)]}
    assert answer(profile(kill, ALLOW), "read", 1) == RET.ALLOW
    says_the_default = {"names": ["read"], "action": "SCMP_ACT_ERRNO"}
    assert answer(profile(says_the_default, {**ALLOW, "args": [argument("EQ", 1)]}), "read", 1) == RET.ALLOW


def test_flags() -> None:
    assert parse_profile(profile(ALLOW, flags=["SECCOMP_FILTER_FLAG_LOG"]), HERE).flags == FILTER_FLAG.LOG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is not JSON: Expecting value"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": NaN}', "is not JSON: NaN is no number"),
        ('{"syscalls": [], "syscalls": []}', 'is not JSON: "syscalls" is there twice in one object'),
        ("[]", "the profile: expected an object, not a value of type list"),
        ("{}", "defaultAction: None is no action"),
        (profile(syscals=[]), 'the profile: unknown field "syscals"; did you mean "syscalls"?'),
        (profile(ALLOW, defaultAction="SCMP_ACT_ALOW"), 'defaultAction: "SCMP_ACT_ALOW" is no action; did you mean'),
        (profile(ALLOW, syscalls={}), "syscalls: expected a list, not a value of type dict"),
        (profile({**ALLOW, "excldes": {}}), 'syscalls[0]: unknown field "excldes"; did you mean "excludes"?'),
        (profile({"action": "SCMP_ACT_ALLOW"}), "syscalls[0]: names no system call"),
        (profile({**ALLOW, "name": "read"}), "syscalls[0]: takes either name, as text, or names"),
        (profile({**ALLOW, "names": [1]}), "syscalls[0]: names: expected text, not 1"),
        (profile({**ALLOW, "action": "SCMP_ACT_NOTIFY"}), "SCMP_ACT_NOTIFY needs a function"),
        (profile({**ALLOW, "args": [argument("ER", 1)]}), 'syscalls[0].args[0]: op: "SCMP_CMP_ER" is no comparison'),
        (profile({**ALLOW, "args": [argument("EQ", -1)]}), "syscalls[0].args[0]: value: expected a number from 0 to"),
        (profile({**ALLOW, "args": [argument("EQ", 1, index=6)]}), "index: expected a number from 0 to 5, not 6"),
        (profile({**ALLOW, "includes": {"minKernel": "4"}}), 'minKernel: expected a version like "4.8", not "4"'),
        (
            profile({**ALLOW, "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}),
            "errnoRet: expected a number from 0 to 4095",
        ),
        (profile({**ALLOW, "action": "SCMP_ACT_ERRNO", "errno": "ENOPE"}), 'errno: "ENOPE" is no error'),
        (profile(ALLOW, architectures=["x86"]), 'architectures: "x86" is none'),
        (profile(ALLOW, archMap=ARCHITECTURES, architectures=["SCMP_ARCH_X86"]), "has both architectures and archMap"),
        (profile(ALLOW, flags=["SECCOMP_FILTER_FLAG_X"]), 'flags: "SECCOMP_FILTER_FLAG_X" is not supported'),
        (profile({**ALLOW, "args": [argument("EQ", 10**30)]}), "syscalls[0].args[0]: value: expected a number from 0"),
    ],
)
def test_what_is_wrong_is_said(text: str, expected: str) -> None:
    found = problems(text)
    assert any(expected in problem for problem in found), found


def test_all_problems_are_said() -> None:
    assert len(problems(profile({"names": 1}, {"action": 2}, defaultAction=3))) >= 5
    assert len(problems(profile(*[{} for _ in range(1000)]))) == 20


words = st.sampled_from(
    "defaultAction syscalls names action args includes excludes caps arches minKernel archMap architecture "
    "subArchitectures architectures flags errnoRet index op value valueTwo SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_CMP_EQ "
    "read clone SCMP_ARCH_X86 4.8 CAP_CHOWN".split()
)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=6)),
    max_leaves=30,
)


@given(trees)
@settings(max_examples=300, deadline=None)
def test_any_tree_is_a_profile_or_refused(tree: object) -> None:
    with contextlib.suppress(ProfileError):
        policy = parse_profile(json.dumps(tree), HERE)
        assert run_filter(assemble(policy), ABIS["x86_64"].audit, 0) in (
            policy.default,
            *[r.action for r in policy.rules],
        )


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_profile_or_refused(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_profile(text, HERE)
