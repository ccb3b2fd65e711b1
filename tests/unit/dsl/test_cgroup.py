"""``config.cgroup``: what it becomes in the spec, and what is said about what is wrong."""
# ruff: noqa: E501 - tables are easier to read with one row a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.spec.cgroups import CgroupSpec
from haconiwa.spec.model import BarnSpec, ContainerSpec

Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]


def asked(settings: Settings, lines: str) -> CgroupSpec:
    cgroup = settings(lines).cgroup
    assert cgroup is not None
    return cgroup


def test_nothing_is_asked_for(settings: Settings) -> None:
    assert settings("").cgroup is None


def test_settings_in_file_order_with_their_lines(settings: Settings) -> None:
    cgroup = asked(settings, "c.cgroup['memory.max'] = '4M'\nc.cgroup['pids.max'] = 5\nc.cgroup['memory.max'] = '8M'")
    assert [(s.key, s.lines, s.version, str(s.where)) for s in cgroup.settings] == [
        ("pids.max", ("5",), None, "test.haco:4"),
        ("memory.max", ("8388608",), None, "test.haco:5"),
    ]
    assert not cgroup.assign_only


def test_versions_are_meant_literally(settings: Settings) -> None:
    cgroup = asked(
        settings,
        """
        with c.cgroup("v1") as v1:
            v1["memory.swappiness"] = 5
        with c.cgroup("v2") as v2:
            v2["memory.max"] = "4M"
            v2["new.thing"] = "a b"
            v2.assign_only = True
        """,
    )
    assert {(s.version, s.key): s.lines for s in cgroup.settings} == {
        (1, "memory.swappiness"): ("5",),
        (2, "memory.max"): ("4194304",),
        (2, "new.thing"): ("a b",),
    }
    assert cgroup.assign_only
    assert next(s.named() for s in cgroup.settings) == 'cgroup("v1")["memory.swappiness"]'


def test_reading_back(settings: Settings) -> None:
    settings("""
        cg = c.cgroup
        cg["memory.max"] = "4M"
        cg["io.max"] = ["8:0 rbps=1", "8:16 rbps=2"]
        assert cg["memory.max"] == "4194304"
        assert cg["io.max"] == "8:0 rbps=1\\n8:16 rbps=2"
        assert "pids.max" not in cg and [1] not in cg and list(cg) == ["memory.max", "io.max"]
        del cg["io.max"]
        assert list(cg) == ["memory.max"]
        assert list(c.cgroup("v1")) == []
        try:
            cg["pids.max"]
        except KeyError:
            pass
        else:
            raise AssertionError
    """)


def test_cgroup_name(settings: Settings) -> None:
    assert asked(settings, "c.cgroup_name = 'other'").name == "other"


def test_a_child_starts_from_a_copy(load: Callable[[str], BarnSpec]) -> None:
    barn = load("""
from haconiwa import define
with define() as barn:
    barn.cgroup["pids.max"] = 5
    barn.cgroup("v2").assign_only = True
    for name in ("a", "b"):
        with barn.define() as c:
            c.name = name
            if name == "a":
                c.cgroup["pids.max"] = 7
                c.cgroup["memory.max"] = "8M"
""")
    first, second = (container.cgroup for container in barn.containers)
    assert first is not None
    assert second is not None
    assert [(s.key, s.lines) for s in first.settings] == [("pids.max", ("7",)), ("memory.max", ("8388608",))]
    assert [(s.key, s.lines) for s in second.settings] == [("pids.max", ("5",))]
    assert second.assign_only


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("c.cgroup['memory.max'] = '1GB'", 'cgroup["memory.max"]: "1GB" is not a number of bytes, text such as "256M" with K, M, G or T, or "max"'),
        ("c.cgroup['memory.max'] = -2", 'cgroup["memory.max"]: -2 is not between -1 and 9223372036854775807'),
        ("c.cgroup['memory.max'] = '1M'", 'cgroup["memory.max"]: no container can start with less than 2M'),
        ("c.cgroup['memory.max'] = float('nan')", 'cgroup["memory.max"]: expected a number or "max", not a value of type float'),
        ("c.cgroup['memory.mx'] = 1", 'cgroup["memory.mx"]: is not known; did you mean "memory.max"?'),
        ("c.cgroup['../x.y'] = 1", 'cgroup["../x.y"]: "../x.y" is not the name of a control group file, such as "memory.max"'),
        ("c.cgroup['a.b\\n'] = 1", 'cgroup["a.b\\x0a"]: "a.b\\x0a" is not the name of a control group file, such as "memory.max"'),
        ("c.cgroup[5] = 1", "cgroup[5]: expected the name of a control group file, not 5"),
        ("c.cgroup['cgroup.freeze'] = 1", 'cgroup["cgroup.freeze"]: a frozen container cannot start; a hook can freeze it: base.cgroup["cgroup.freeze"] = …'),
        ("c.cgroup('v1')['cgroup.procs'] = 1", 'cgroup("v1")["cgroup.procs"]: is used by haconiwa itself'),
        ("c.cgroup('v1')['x.y'] = 'a\\nb'", 'cgroup("v1")["x.y"]: "a\\x0ab" has a control character'),
        ("c.cgroup('v2').assign_only = 1", 'cgroup("v2").assign_only: expected True or False, not 1'),
        ("c.cgroup('v2').max = 1", 'unknown name "cgroup("v2").max"'),
        ("c.cgroup('v3')", 'cgroup: "v3" is not "v1" or "v2"; did you mean "v1"?'),
        ("c.cgroup = {}", "cgroup: is a section and cannot be assigned; set what is in it"),
        ("c.cgroup['memory.max']", 'cgroup["memory.max"]: is read and not set; set it before'),
        ("c.cgroup['memory.max'] += '1'", 'cgroup["memory.max"]: is read and not set; set it before'),
        ("c.cgroup('v1')['x']", 'cgroup("v1")["x"]: is read and not set; set it before'),
        ("c.cgroup('v2')['assign_only']", 'cgroup("v2")["assign_only"]: is read and not set; set it before'),
        ("c.cgroup[[1]]", "cgroup[a value of type list]: is read and not set; set it before"),
        ("del c.cgroup['memory.max']", 'cgroup["memory.max"]: is deleted and not set'),
        ("del c.cgroup[[1]]", "cgroup[a value of type list]: is deleted and not set"),
        ("c.cgroup_name = 'a/b'", 'cgroup_name: "a/b" is not a name: 1-64 of A-Z a-z 0-9 _ . -, not beginning with "." or "-"'),
        ("c.cgroup['cpu.max'] = 5000; c.cgroup['cpu.cfs_quota_us'] = 5000", 'cgroup["cpu.cfs_quota_us"]: is the same limit as cgroup["cpu.max"]; set one of them'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_recorded_with_its_line(refused: Refused, line: str, expected: str) -> None:
    assert refused(line) == [f"test.haco:3: {expected}"]


def test_a_hostile_key_does_no_harm(refused: Refused) -> None:
    (said,) = refused("class K(str):\n  def __str__(self): raise RuntimeError\nc.cgroup[K('memory.max')] = '1M'")
    assert 'cgroup["memory.max"]: no container can start' in said


def test_two_containers_in_one_group(problems: Callable[[str], list[str]]) -> None:
    text = """
from haconiwa import define
barn = define()
{inherited}
for name in ("a", "b"):
    c = barn.define()
    c.name = name
{own}
"""
    inherited = problems(text.format(inherited="barn.cgroup_name = 'x'", own=""))
    assert inherited == ['test.haco:4: cgroup_name: "x" is another container\'s']
    own = problems(text.format(inherited="", own="c.cgroup_name = 'a'"))
    assert own == ['test.haco:8: cgroup_name: "a" is another container\'s']
