"""What `check` points at: lines that do nothing, or something else than was meant."""
# ruff: noqa: E501 - tables are easier to read with one row a line

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.hooks import HookSettings
from haconiwa.dsl.lint import DECORATORS, FUNCTIONS, lint
from haconiwa.dsl.source import read_source
from haconiwa.errors import ConfigError

Write = Callable[[str], Path]
LOOP = "which the loop changes: every hook will see its last value"


def lines(write: Write, text: str) -> list[str]:
    path = write(text)
    return [str(problem).removeprefix(f"{path}:") for problem in lint(read_source(str(path)))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("config.daemonize", "config.daemonize: does nothing like this; write config.daemonize() to call it"),
        ("config.bootstrap.skip", "config.bootstrap.skip: does nothing like this; write config.bootstrap.skip() to call it"),
        ("config.bootstrap.function", "config.bootstrap.function: does nothing like this; put @config.bootstrap.function above a function"),
        ("config.add_handler", "config.add_handler: does nothing like this; put @config.add_handler(…) above a function"),
        ("config.name", "config.name: does nothing like this"),
        ('config.metadata["a"] == "b"', "config.metadata['a']: is compared, and nothing done with the result; one = sets it"),
        ("root = config.chroot_to", "config.chroot_to: is named and not called; write config.chroot_to() to call it"),
        ('config.name == "x"', "config.name: is compared, and nothing done with the result; one = sets it"),
        ('config.add_general_hook("setup")', "config.add_general_hook: has no function; put @config.add_general_hook(…) above one"),
        ("config.add_async_hook(sec=3)", "config.add_async_hook: has no function; put @config.add_async_hook(…) above one"),
        ("config.after_spawn(sec=3)", "config.after_spawn: has no function; put @config.after_spawn(…) above one"),
        ('config.add_cgroup_hook(type="oom")', "config.add_cgroup_hook: has no function; put @config.add_cgroup_hook(…) above one"),
        ('config.init_command: "/bin/sh"', "config.init_command: is only annotated; write config.init_command = …"),
        ('config.metadata["a"]: "b"', "config.metadata['a']: is only annotated; write config.metadata['a'] = …"),
        ('config.add_handler("USR1")', "config.add_handler: has no function; put @config.add_handler(…) above one"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "beginning", ["with define() as config:\n    pass", "import haconiwa\nconfig = haconiwa.define()"]
)
def test_a_line_that_does_nothing(write: Write, beginning: str, line: str, expected: str) -> None:
    assert lines(write, f"{beginning}\n{line}\n") == [f"3: {expected}"]


@pytest.mark.parametrize(
    "line",
    [
        "config.daemonize()",
        "config.name = 'x'",
        "print(config.name == 'x')",
        "x = config.name",
        "config.add_general_hook('setup', print)",
        "config.add_general_hook('setup', function=print)",
        "config.add_general_hook(*arguments)",
        "config.add_async_hook(print, sec=3)",
        "config.add_async_hook(**arguments)",
        "@config.add_general_hook('setup')\ndef f(barn): ...",
        "config.init_command: object = '/bin/sh'",
        "name: str",
        "other.init_command: '/bin/sh'",
        "other.daemonize",
        "other.name == 'x'",
        "other.add_general_hook('setup')",
        "'a text'",
        "[].append",
    ],
)
def test_a_line_that_is_fine(write: Write, line: str) -> None:
    assert lines(write, f"config = define()\n{line}\n") == []


def test_names_of_children_and_sections_are_followed(write: Write) -> None:
    text = """
    with define() as barn:
        with barn.define() as child:
            child.skip_bootstrap
            with child.namespace as n:
                n.unshare
        copy = child
        copy.name
        b = child.bootstrap
        b.skip
        name = child.name
        name.upper
    """
    assert [found.partition(":")[0] for found in lines(write, text)] == ["4", "6", "10"]


def test_a_barn_with_a_name(write: Write) -> None:
    text = "barn = define()\nbarn.name = 'farm'\nwith barn.define() as c:\n    c.name = 'a'\n"
    assert lines(write, text) == ["2: barn.name: is the name of none of its containers; set it in each child"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@c.add_general_hook('setup')\n    def f(base): print(i)", [("4", "i")]),
        ("@c.add_async_hook(sec=1)\n    async def f(base): print(i)", [("4", "i")]),
        ("c.add_general_hook('setup', lambda base: i)", [("3", "i")]),
        ("c.add_async_hook(function=lambda base: i, sec=1)", [("3", "i")]),
        ("def f(base): print(i)\n    c.add_handler('USR1', f)", [("3", "i")]),
        ("name = str(i)\n    c.add_general_hook('setup', lambda base: name)", [("4", "name")]),
        ("with c.define() as d:\n        d.add_general_hook('before_fork', lambda base: d)", [("4", "d")]),
        ("c.add_general_hook('setup', lambda base: (lambda: i))", [("3", "i")]),
        ("c.validate_real_id(lambda uid, gid: uid == i)", [("3", "i")]),
        ("c.add_readiness_hook(lambda base, ok: i)", [("3", "i")]),
        ("[c.add_async_hook(lambda base: k, sec=1) for k in 'ab']", [("3", "k")]),
        ("{c.add_async_hook(lambda base: k, sec=1) for j in 'ab' for k in j}", [("3", "k")]),
        ("[c.add_async_hook(lambda base, k=k: k, sec=1) for k in 'ab']", []),
        ("c.add_general_hook('setup', lambda base, i=i: i)", []),
        ("c.add_general_hook('setup', lambda i: i)", []),
        ("@c.add_general_hook('setup')\n    def f(base):\n        i = 3\n        print(i)", []),
        ("c.add_general_hook('setup', print)", []),
        ("c.add_general_hook('setup', lambda base: constant)", []),
        ("print(lambda base: i)", []),
    ],
)
def test_a_hook_in_a_loop(write: Write, body: str, expected: list[tuple[str, str]]) -> None:
    found = lines(write, f"c = define()\nfor i in range(3):\n    {body}\n")
    assert found == [
        f'{line}: a hook uses "{name}", {LOOP}; keep it as a default: {name}={name}' for line, name in expected
    ]


def test_a_hook_in_two_loops_is_told_once(write: Write) -> None:
    text = "c = define()\nfor i in 'a':\n    for j in 'b':\n        c.add_general_hook('setup', lambda base: (i, j))\n"
    assert len(lines(write, text)) == 2


def test_a_while_loop(write: Write) -> None:
    text = "c = define()\ni = 0\nwhile i < 3:\n    c.add_general_hook('setup', lambda base: i)\n    i += 1\n"
    assert len(lines(write, text)) == 1


def test_the_file_is_not_executed(write: Write) -> None:
    assert lines(write, "raise SystemExit(3)\n") == []


def test_a_file_that_is_no_python(write: Write) -> None:
    with pytest.raises(ConfigError, match="invalid Python"):
        lines(write, "x = = 1\n")


def test_the_table_knows_every_setting_that_takes_a_function() -> None:
    registering = {name for name in vars(HookSettings) if not name.startswith("_")}
    assert set(DECORATORS) == {*registering, "add_cgroup_hook"}
    assert all(callable(getattr(Definition, name)) for name in FUNCTIONS)


def test_what_is_read_is_no_mistake(write: Write) -> None:
    assert lines(write, "config = define()\nname = config.name\nroot = config.chroot_to('/r')\n") == []


def test_warnings_of_python_are_left_to_the_load(write: Write, recwarn: pytest.WarningsRecorder) -> None:
    lines(write, "config = define()\nassert 1 is 1\n")
    assert len(recwarn) == 0
