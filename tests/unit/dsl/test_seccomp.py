"""What ``config.seccomp`` takes and refuses."""
# ruff: noqa: E501 - tables are easier to read with one row a line

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.spec.model import BarnSpec, ContainerSpec
from haconiwa.spec.seccomp import ARGUMENT_MAX, Condition, SeccompSpec

Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]
INT = 0xFFFFFFFF


def rules(settings: Settings, lines: str, default: str = "") -> SeccompSpec:
    return settings(f"from haconiwa import arg\nrule = c.seccomp.filter({default})\n{lines}").seccomp


def test_the_default_profile_and_none(settings: Settings) -> None:
    assert settings("").seccomp == SeccompSpec()
    assert settings("c.seccomp.profile = 'unconfined'").seccomp.profile == "unconfined"
    assert settings("c.capabilities.reset_to_privileged()").seccomp.profile == "unconfined"
    spec = settings("c.seccomp.profile = 'default'\nc.capabilities.reset_to_privileged()").seccomp
    assert spec.profile == "default"
    spec = settings("c.capabilities.reset_to_privileged()\nc.seccomp.filter().errno('mkdir')").seccomp
    assert (spec.profile, len(spec.filters)) == ("unconfined", 1)
    assert settings("c.capabilities.allow('all')").seccomp.profile == "default"


def test_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"a": 1}')
    spec = settings("c.seccomp.profile = 'own.json'").seccomp
    assert (spec.profile, spec.text) == (str(tmp_path / "own.json"), '{"a": 1}')
    assert settings("c.seccomp.profile = 'own.json'\nc.seccomp.profile = 'default'").seccomp.text == ""


def test_rules_in_their_order(settings: Settings) -> None:
    spec = rules(
        settings,
        """
rule.kill("mkdir", "mkdirat")
rule.errno("chmod")
rule.errno("chown", code="ENOSYS")
rule.errno("lchown", code=13)
rule.trap("link")
rule.trace("ptrace", message=7)
rule.log("symlink")
rule.allow("read")
""",
    )
    (only,) = spec.filters
    assert (only.default, only.code) == ("allow", 0)
    assert [(rule.action, rule.names, rule.code) for rule in only.rules] == [
        ("kill", ("mkdir", "mkdirat"), 0),
        ("errno", ("chmod",), 1),
        ("errno", ("chown",), 38),
        ("errno", ("lchown",), 13),
        ("trap", ("link",), 0),
        ("trace", ("ptrace",), 7),
        ("log", ("symlink",), 0),
        ("allow", ("read",), 0),
    ]
    assert [rule.where.line for rule in only.rules if rule.where] == list(range(6, 14))


def test_defaults(settings: Settings) -> None:
    for default, expected in (
        ("default='errno'", ("errno", 1)),
        ("'errno', code='ENOSYS'", ("errno", 38)),
        ("'log'", ("log", 0)),
    ):
        (only,) = rules(settings, "rule.allow('execve')", default).filters
        assert (only.default, only.code) == expected


def test_comparisons(settings: Settings) -> None:
    lines = """
rule.allow("socket", when=arg(0) == 1)
rule.errno("socket", when=arg(0) == 2)
rule.errno("socket", when=[arg(0) != 2, arg(1) <= 3, arg(2) > 4, arg(3) < 5, arg(4) >= 6])
rule.errno("socket", when=arg(5) & 0xff == 0x12)
rule.errno("socket", when=(arg(0) == 1 << 32,))
"""
    whens = [rule.when for rule in rules(settings, lines).filters[0].rules]

    def condition(index: int, operator: str, value: int, mask: int = ARGUMENT_MAX) -> Condition:
        return Condition(index=index, operator=operator, value=value, mask=mask)  # type: ignore[arg-type]

    assert whens == [
        (condition(0, "==", 1),),
        (condition(0, "==", 2, INT),),
        (
            condition(0, "!=", 2),
            condition(1, "<=", 3, INT),
            condition(2, ">", 4),
            condition(3, "<", 5, INT),
            condition(4, ">=", 6),
        ),
        (condition(5, "==", 0x12, 0xFF),),
        (condition(0, "==", 1 << 32),),
    ]


def test_functions(settings: Settings) -> None:
    lines = "@rule.notify('mkdir')\ndef told(call): return 0\nrule.notify('rmdir', handler=told, when=arg(0) == 1)"
    first, second = rules(settings, lines).filters[0].rules
    assert first.handler is second.handler is not None
    assert (first.names, second.names, len(second.when)) == (("mkdir",), ("rmdir",), 1)


def test_children_start_with_the_filters_of_the_barn(load: Callable[[str], BarnSpec]) -> None:
    barn = load(
        """
        from haconiwa import define
        with define() as barn:
            barn.seccomp.filter().errno("mkdir")
            for name in ("a", "b"):
                with barn.define() as c:
                    c.name = name
                    if name == "b":
                        c.seccomp.filter().errno("rmdir")
        """
    )
    assert [len(container.seccomp.filters) for container in barn.containers] == [1, 2]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rule.kill('mkdri')", 'seccomp.filter.kill: unknown system call "mkdri"; did you mean "mkdir"?'),
        ("rule.kill()", "seccomp.filter.kill: names no system call"),
        ("rule.kill(5)", "seccomp.filter.kill: expected the name of a system call, not 5"),
        ("rule.kill(['mkdir'])", "seccomp.filter.kill: expected the name of a system call, not a value of type list"),
        ("rule.errno('mkdir', code='EPREM')", 'seccomp.filter.errno: unknown error "EPREM"; did you mean "EPERM"?'),
        ("rule.errno('mkdir', code=0)", "seccomp.filter.errno: 0 is not between 1 and 4095"),
        ("rule.errno('mkdir', code='errorcode')", 'seccomp.filter.errno: unknown error "errorcode"'),
        ("rule.trace('mkdir', message=65536)", "seccomp.filter.trace: 65536 is not between 0 and 65535"),
        ("rule.errno('mkdir', when=True)", "seccomp.filter.errno: when= takes comparisons like arg(0) == 1, not True"),
        (
            "rule.errno('mkdir', when=[arg(0)])",
            "seccomp.filter.errno: when= takes comparisons like arg(0) == 1, not a value of type Argument",
        ),
        ("arg(6) == 1", "arg: 6 is not between 0 and 5"),
        (
            "arg(0) == -1",
            "arg: -1 is not between 0 and 18446744073709551615; arguments have no sign: compare arg(n) & 0xffffffff with 0xffffffff for -1",
        ),
        ("arg(0) == 'x'", 'arg: expected a number, not "x"'),
        ("arg(0) & 0xf == 0x10", "arg: 0x10 has bits that the mask 0xf takes away"),
        ("arg(0) & 1.5", "arg: expected a mask, not a value of type float"),
        (
            "rule.notify(lambda call: 0)",
            'seccomp.filter.notify: is given a function and no system call; write @rule.notify("CALL") above it',
        ),
        ("rule.notify('mkdir', handler=5)", "seccomp.filter.notify: expected a function, not 5"),
        (
            "rule.notify('mkdir', handler=lambda: 0)",
            'seccomp.filter.notify: "<lambda>" is called with one argument, which it does not take',
        ),
        (
            "rule.notify('write', handler=print)",
            'seccomp.filter.notify: "write" is made on the way to the container\'s program; it cannot wait for the supervisor then',
        ),
        ("rule.default = 'kill'", 'unknown name "seccomp.filter.default"'),
        (
            "c.seccomp.filter(default='alow')",
            'seccomp.filter: "alow" is not one of kill errno trap trace log allow; did you mean "allow"?'.replace(
                "is not one of allow kill errno trap trace log", "is not one of kill errno trap trace log allow"
            ),
        ),
        ("c.seccomp.profile = 'nothing.json'", None),
        ("c.seccomp.profile = 5", "seccomp.profile: expected a path, not 5"),
        ("c.seccomp.profil = 'default'", 'unknown name "seccomp.profil"; did you mean "profile"?'),
        ("c.seccomp.filter = 'kill'", "seccomp.filter: is called, not assigned; write seccomp.filter(…)"),
        (
            "c.seccomp.filter('kill')",
            'seccomp.filter: forbids "execve", so that the container\'s own program cannot be started; allow("execve", "execveat")',
        ),
        ("c.seccomp.filter('kill').allow('execve').__class__", None),
        (
            "rule.errno('execve')",
            'seccomp.filter: forbids "execve", so that the container\'s own program cannot be started; allow("execve", "execveat")',
        ),
    ],
)
def test_what_is_refused(refused: Refused, line: str, expected: str | None) -> None:
    found = refused(f"from haconiwa import arg\nrule = c.seccomp.filter()\n{line}\nc.uid = -1")
    assert found[-1].startswith("test.haco:6: uid:")
    if expected is not None:
        assert len(found) == 2
        assert found[0].partition(": ")[2] == expected, found


def test_a_name_that_is_read(refused: Refused) -> None:
    found = refused("c.seccomp.filter().errn('mkdir')")
    assert found == ['test.haco:3: unknown name "seccomp.filter.errn"; did you mean "errno"?']


def test_a_chain_of_comparisons_says_so(refused: Refused) -> None:
    found = refused("from haconiwa import arg\nc.seccomp.filter().kill('read', when=0 < arg(0) < 5)")
    assert found[0].startswith("test.haco:4: a comparison of an argument says nothing before there is a call")


def test_two_filters_with_functions(refused: Refused) -> None:
    lines = "c.seccomp.filter().notify('mkdir', handler=print)\nc.seccomp.filter().notify('rmdir', handler=print)"
    assert refused(lines) == ["test.haco:4: seccomp.filter: a second filter with notify, the kernel takes one"]


def test_files_that_are_refused(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "own.json"

    def told() -> str:
        (only,) = refused("c.seccomp.profile = 'own.json'")
        return only.removeprefix("test.haco:3: seccomp.profile: ")

    assert told().startswith(f'cannot open "{path}": No such file or directory (ENOENT)')
    path.write_bytes(b"\xff")
    assert told() == f'"{path}" is not in UTF-8'
    path.write_text(json.dumps("x" * (1 << 20)))
    assert told().startswith(f'"{path}" is larger than 1048576 bytes')
    path.write_text("{}")
    path.chmod(0o666)
    assert told().startswith(f'others can write to "{path}" (mode 0666)')
    path.unlink()
    os.mkfifo(path)
    assert told().startswith(f'"{path}" is not a regular file')
    path.unlink()
    path.mkdir()
    assert told().startswith(f'"{path}" is not a regular file')


def test_ten_thousand_rules(settings: Settings) -> None:
    spec = rules(settings, "for n in range(10_000): rule.errno('mkdir', when=arg(1) == n)")
    assert len(spec.filters[0].rules) == 10_000
