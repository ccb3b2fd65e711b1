"""Names that do not exist, exist later or are used the wrong way; blocks that end early; sets that come too late."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.sections import SECTIONS
from haconiwa.dsl.unknown import LATER, NOT_YET
from haconiwa.errors import ConfigError
from haconiwa.spec.model import BarnSpec

Load = Callable[[str], BarnSpec]
Problems = Callable[[str], list[str]]
Refused = Callable[[str], list[str]]

RECORDED = [
    ("c.hostnam = 'x'", 'unknown name "hostnam"; did you mean "hostname"?'),
    ("c.init_comand = 'x'", 'unknown name "init_comand"; did you mean "init_command"?'),
    ("c.zzz = 1", 'unknown name "zzz"'),
    ("c._values = {}", 'unknown name "_values"'),
    ("c.__dict__ = {}", 'unknown name "__dict__"'),
    ("c.strategy = 'host'", 'unknown name "strategy"; did you mean "bootstrap.strategy"?'),
    ("c.bootstrap.stratgy = 'host'", 'unknown name "bootstrap.stratgy"; did you mean "strategy"?'),
    ("c.daemonize = True", "daemonize: is called, not assigned; write daemonize(…)"),
    ("c.namespace.unshare = 'pid'", "namespace.unshare: is called, not assigned; write namespace.unshare(…)"),
    ("c.namespace = {}", "namespace: is a section and cannot be assigned; set what is in it"),
    ("c.seccomp = 'x'", "seccomp: is a section and cannot be assigned; set what is in it"),
    ("c.checkpoint = 'x'", "checkpoint: this version of haconiwa does not have it yet"),
    ("c.bootstrap.toool = 'x'", 'unknown name "bootstrap.toool"; did you mean "tool"?'),
    ("del c.name", "name: cannot be deleted"),
    ("del c.zzz", "zzz: cannot be deleted"),
    ("setattr(c, 'a\\x1b', 1)", 'unknown name "a\\x1b"'),
]


def test_setting_what_only_the_barn_has_on_a_child(refused: Refused) -> None:
    assert refused("c.define().daemonize = True") == ["test.haco:3: daemonize: belongs to the barn, a child has none"]


@pytest.mark.parametrize(("line", "expected"), RECORDED, ids=[line for line, _ in RECORDED])
def test_what_is_set_is_recorded_and_the_load_goes_on(refused: Refused, line: str, expected: str) -> None:
    assert refused(f"{line}\nc.uid = -1") == [
        f"test.haco:3: {expected}",
        "test.haco:4: uid: -1 is not between 0 and 4294967294",
    ]


RAISED = [
    ("c.hostnam", 'unknown name "hostnam"; did you mean "hostname"?'),
    ("c.add_mount('/a', to='/b')", 'unknown name "add_mount"; did you mean "add_mount_point"?'),
    ("c.namespace.unshar('pid')", 'unknown name "namespace.unshar"; did you mean "unshare"?'),
    ("c.run_shell('x')", 'unknown name "run_shell"; did you mean "provision.run_shell"?'),
    ("c._values_", 'unknown name "_values_"'),
    ("c.checkpoint.images_dir = '/x'", "checkpoint: this version of haconiwa does not have it yet"),
]


@pytest.mark.parametrize(("line", "expected"), RAISED, ids=[line for line, _ in RAISED])
def test_what_is_read_stops_the_load(refused: Refused, line: str, expected: str) -> None:
    assert refused(f"{line}\nc.uid = -1") == [
        f"test.haco:3: {expected}",
        'the load of "test.haco" stopped at line 3; the lines after it were not looked at',
    ]


def test_every_later_name_says_so(refused: Refused) -> None:
    for name in sorted(name for name in LATER if "(" not in name):
        section, _, member = name.rpartition(".")
        target = f"c.{section}" if section else "c"
        assert refused(f"{target}.{member}") == [f"test.haco:3: {name}: {NOT_YET}"]


def test_a_later_name_does_not_exist_yet() -> None:
    sections = {kind._section: kind for kind in SECTIONS}
    for name in LATER:
        section, _, member = name.partition("(")[0].rpartition(".")
        assert "(" in name or not hasattr(sections.get(section, Definition), member), name


def test_hasattr_tells_and_does_not_stop(load: Load) -> None:
    text = (
        "from haconiwa import define\nc = define()\n"
        "c.metadata = {n: str(hasattr(c, n)) for n in ('checkpoint', 'uid')}\n"
    )
    assert load(text).containers[0].metadata == {"checkpoint": "False", "uid": "True"}


def test_builders_can_be_shown_and_compared(load: Load) -> None:
    load("from haconiwa import define\nc = define()\nrepr(c), dir(c), c == c, {c: 1}, c.namespace is c.namespace\n")


def test_a_name_that_is_read_raises_for_the_user_too(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        c = define()
        try:
            c.hostnam
        except AttributeError as error:
            c.metadata["said"] = str(error)
        """
    )
    assert barn.containers[0].metadata["said"] == 'test.haco:5: unknown name "hostnam"; did you mean "hostname"?'


BLOCKS = [
    "with define() as c:\n    1 / 0\n",
    "with define() as c:\n    with c.bootstrap as b:\n        1 / 0\n",
    "c = define()\nwith c.define() as d:\n    1 / 0\n",
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_left_by_an_exception(problems: Problems, block: str) -> None:
    line = block.count("\n") + 1
    assert problems(f"from haconiwa import define\n{block}") == [
        f"test.haco:{line}: ZeroDivisionError: division by zero"
    ]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_left_by_an_exception_that_somebody_catches(problems: Problems, block: str) -> None:
    indented = "".join(f"    {line}\n" for line in block.splitlines())
    line = block.count("\n") + 2
    assert problems(f"from haconiwa import define\ntry:\n{indented}except ZeroDivisionError: pass\n") == [
        f"test.haco:{line}: a with block was left by ZeroDivisionError: division by zero"
    ]


def test_a_block_left_by_break_is_complete(load: Load) -> None:
    barn = load("from haconiwa import define\nfor i in range(3):\n    with define() as c:\n        break\nc.uid = 7\n")
    assert barn.containers[0].user.uid == 7


def test_hooks_may_be_added_after_the_block(load: Load) -> None:
    text = (
        "from haconiwa import define\nwith define() as c:\n    pass\n@c.add_general_hook('setup')\ndef f(barn): ...\n"
    )
    assert len(load(text).hooks) == 1


FROZEN = [
    ("c.uid = 1", "uid"),
    ("c.namespace.unshare('pid')", "namespace.unshare"),
    ("c.environ['A'] = 'b'", "environ"),
    ("c.filesystem.masked_paths.append('/x')", "filesystem.masked_paths"),
    ("c.filesystem.masked_paths.clear()", "filesystem.masked_paths"),
    ("c.environ.pop('A', None)", "environ"),
    ("c.bootstrap.strategy = 'host'", "bootstrap.strategy"),
    ("c.define()", "define"),
    ("c.unknown = 1", "unknown"),
    ("c.daemonize = 1", "daemonize"),
    ("c.add_general_hook('setup', print)", "add_general_hook"),
    ("del c.name", "name"),
]


@pytest.mark.parametrize(("line", "name"), FROZEN, ids=[line for line, _ in FROZEN])
def test_setting_in_a_hook_is_an_error_at_once(load: Load, line: str, name: str) -> None:
    barn = load(
        f"from haconiwa import define\nc = define()\n@c.add_general_hook('setup')\ndef hook(barn):\n    {line}\n"
    )
    with pytest.raises(ConfigError) as caught:
        barn.hooks[0].function(None)
    (problem,) = caught.value.problems
    assert problem.what == f"{name}: cannot be set any more, the haco file has ended"
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == ("test.haco", 5)


def test_reading_in_a_hook_is_fine(load: Load) -> None:
    barn = load(
        "from haconiwa import define\nc = define()\nc.add_general_hook('setup', lambda barn: (c.name, c.environ))\n"
    )
    assert barn.hooks[0].function(None) == (barn.name, {})


def test_define_in_a_hook(load: Load) -> None:
    barn = load("from haconiwa import define\ndefine().add_general_hook('setup', lambda barn: define())\n")
    with pytest.raises(ConfigError, match="work only in a file that haconiwa loads"):
        barn.hooks[0].function(None)


def test_a_builder_of_a_failed_load_is_frozen_too(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("from haconiwa import define\nc = define()\n1 / 0\n")
    assert str(caught.value) == "test.haco:3: ZeroDivisionError: division by zero"
    with pytest.raises(ConfigError, match="uid: cannot be set any more"):
        sys.modules["__haco__"].c.uid = 1


def test_what_a_builder_shows_when_it_is_printed(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    load("from haconiwa import define\nc = define()\nprint(c, c.rootfs)\n")
    assert capfd.readouterr().out == "<container of test.haco> <rootfs of test.haco>\n"
