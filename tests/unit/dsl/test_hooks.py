"""Hooks, timers and signal handlers: what is registered and what is refused."""
# ruff: noqa: E501 - tables are easier to read with one row a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.spec.model import ABORT_POINTS, BARN_POINTS, HOOK_POINTS, BarnSpec, ContainerSpec
from haconiwa.spec.names import CHILD_POINTS

Load = Callable[[str], BarnSpec]
Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]


@pytest.mark.parametrize("point", HOOK_POINTS)
def test_every_point_takes_hooks_in_order(load: Load, point: str) -> None:
    barn = load(
        f"""
        from haconiwa import define
        c = define()
        @c.add_general_hook("{point}")
        def first(live): return 1
        c.add_general_hook("{point}", lambda live: 2, on_error="continue")
        c.add_general_hook("{point}", first, on_error="abort")
        """
    )
    hooks = barn.hooks_at(point) if point in BARN_POINTS else barn.containers[0].hooks_at(point)
    assert [hook.function(None) for hook in hooks] == [1, 2, 1]
    assert [hook.on_error for hook in hooks] == ["abort" if point in ABORT_POINTS else "continue", "continue", "abort"]
    assert [str(hook.where) for hook in hooks] == ["test.haco:4", "test.haco:6", "test.haco:7"]


@pytest.mark.setting("add_handler", "after_spawn")
def test_a_decorator_gives_the_function_back(settings: Settings) -> None:
    settings(
        """
        def f(base): ...
        assert c.add_general_hook("before_fork")(f) is f
        assert c.add_general_hook("before_fork", f) is f
        assert c.add_async_hook(sec=1)(f) is f
        assert c.add_async_hook(f, sec=1) is f
        assert c.after_spawn(sec=1)(f) is f
        assert c.add_signal_handler("USR1")(f) is f
        assert c.add_handler("USR1", f) is f
        g = lambda uid, gid: True
        assert c.validate_real_id(g) is g
        """
    )


def test_a_decorator_that_was_refused_gives_the_function_back_too(refused: Refused) -> None:
    assert refused("def f(): ...\nassert c.add_general_hook('setup')(f) is f\nassert c.add_async_hook()(f) is f") == [
        'test.haco:4: add_general_hook: "f" is called with one argument, which it does not take',
        "test.haco:5: add_async_hook: 0 times are given; it takes exactly one of msec, sec, min, hour",
    ]


def test_the_line_of_a_decorator(refused: Refused) -> None:
    assert refused("@c.add_general_hook('setup')\ndef f(a, b):\n    ...\n") == [
        'test.haco:3: add_general_hook: "f" is called with one argument, which it does not take'
    ]


@pytest.mark.parametrize(
    "function",
    [
        "lambda base: 0",
        "lambda base, i=3: i",
        "lambda *args: 0",
        "lambda base=None: 0",
        "lambda base, *, key=1: 0",
        "lambda base, **more: 0",
        "print",
        "[].append",
        "int",
        "type('C', (), {'m': lambda self, base: 0})().m",
        "type('C', (), {'m': classmethod(lambda cls, base: 0)}).m",
        "type('C', (), {'__call__': lambda self, base: 0})()",
        "__import__('functools').partial(max, 1)",
    ],
)
def test_functions_that_take_one_argument(settings: Settings, function: str) -> None:
    assert len(settings(f"c.add_general_hook('before_fork', {function})").hooks) == 1


@pytest.mark.parametrize(
    "function",
    [
        "lambda: 0",
        "lambda a, b: 0",
        "lambda a, *, b: 0",
        "lambda *, a: 0",
        "type('C', (), {'m': lambda self: 0})().m",
        "type('C', (), {'m': lambda self, a, b: 0})().m",
        "type('C', (), {'m': lambda a, b: 0}).m",
    ],
)
def test_functions_that_do_not(refused: Refused, function: str) -> None:
    assert refused(f"c.add_general_hook('before_fork', {function})") == [
        'test.haco:3: add_general_hook: "<lambda>" is called with one argument, which it does not take'
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("c.add_general_hook('before_forc', print)", 'add_general_hook: "before_forc" is not a hook point; did you mean "before_fork"?'),
        ("c.add_general_hook('after_restore', print)", "add_general_hook: this version of haconiwa does not have it yet"),
        ("@c.add_general_hook\ndef f(b): ...", 'add_general_hook: is given a function and no hook point; write @config.add_general_hook("POINT") above it'),
        ("c.add_general_hook(lambda b: 1)", 'add_general_hook: is given a function and no hook point; write @config.add_general_hook("POINT") above it'),
        ("@c.add_signal_handler\ndef f(b): ...", 'add_signal_handler: is given a function and no signal; write @config.add_signal_handler("SIGNAL") above it'),
        ("@c.add_async_hook\ndef f(b): ...", "add_async_hook: 0 times are given; it takes exactly one of msec, sec, min, hour"),
        ("c.add_general_hook(7, print)", "add_general_hook: expected the name of a hook point, not 7"),
        ("c.add_general_hook('setup', 7)", "add_general_hook: expected a function, not 7"),
        ("c.add_general_hook('setup', None)", "add_general_hook: expected a function, not None"),
        ("c.add_general_hook('setup', print())", "add_general_hook: expected a function, not None"),
        ("c.add_general_hook('setup', print, on_error='ignore')", 'add_general_hook: "ignore" is not "abort" or "continue"'),
        ("def g(b): yield\nc.add_general_hook('setup', g)", 'add_general_hook: "g" has a yield: calling it would run nothing of it'),
        ("async def g(b): yield\nc.add_general_hook('setup', g)", 'add_general_hook: "g" has a yield: calling it would run nothing of it'),
        ("c.add_async_hook(print)", "add_async_hook: 0 times are given; it takes exactly one of msec, sec, min, hour"),
        ("c.add_async_hook(print, sec=1, min=1)", "add_async_hook: 2 times are given; it takes exactly one of msec, sec, min, hour"),
        ("c.add_async_hook(print, day=1)", "add_async_hook: day= is unknown; it takes exactly one of msec, sec, min, hour"),
        ("c.add_async_hook(print, sec=0)", "add_async_hook: 0 is not between 1 and 31622400"),
        ("c.add_async_hook(print, hour=8785)", "add_async_hook: 8785 is not between 1 and 8784"),
        ("c.add_async_hook(print, sec=0.5)", "add_async_hook: expected sec= as a whole number, not a value of type float"),
        ("c.add_async_hook(print, sec=float('nan'))", "add_async_hook: expected sec= as a whole number, not a value of type float"),
        ("c.add_async_hook(print, sec='1')", 'add_async_hook: expected sec= as a whole number, not "1"'),
        ("c.add_async_hook(print, sec=1, interval_msec=0)", "add_async_hook: 0 is not between 1 and 31622400000"),
        ("c.add_async_hook(print, sec=1, interval_msec=-5)", "add_async_hook: -5 is not between 1 and 31622400000"),
        ("c.add_async_hook(print, sec=1, limit_count=3)", "add_async_hook: limit_count= needs interval_msec="),
        ("c.add_async_hook(print, sec=1, interval_msec=1, limit_count=0)", "add_async_hook: 0 is not between 1 and 31622400000"),
        ("c.add_async_hook('x', sec=1)", 'add_async_hook: expected a function, not "x"'),
        ("c.add_signal_handler('TERM', print)", 'add_signal_handler: "TERM" is not left to haco files; take one of USR1 USR2 TTIN TTOU'),
        ("c.add_signal_handler(10, print)", "add_signal_handler: expected the name of a signal, not 10"),
        ("c.add_signal_handler('USR1', lambda: 0)", 'add_signal_handler: "<lambda>" is called with one argument, which it does not take'),
    ],
)  # fmt: skip
def test_what_is_refused(refused: Refused, line: str, expected: str) -> None:
    (found,) = refused(line)
    assert found.partition(": ")[2] == expected


@pytest.mark.parametrize("point", [point for point in HOOK_POINTS if point not in BARN_POINTS])
def test_async_functions_run_in_the_supervisor_only(settings: Settings, refused: Refused, point: str) -> None:
    lines = f"async def f(base): ...\nc.add_general_hook('{point}', f)"
    if point in CHILD_POINTS:
        assert refused(lines) == [
            'test.haco:4: add_general_hook: "f" is async, which is not possible here; write it as a plain def'
        ]
    else:
        assert len(settings(lines).hooks) == 1


@pytest.mark.parametrize(
    ("arguments", "first_s", "interval_s", "limit_count"),
    [
        ("msec=50", 0.05, None, None),
        ("sec=3, interval_msec=1000", 3, 1, None),
        ("min=2", 120, None, None),
        ("hour=8784", 8784 * 3600, None, None),
        ("msec=None, sec=1, interval_msec=1, limit_count=7", 1, 0.001, 7),
    ],
)
def test_times(
    settings: Settings, arguments: str, first_s: float, interval_s: float | None, limit_count: int | None
) -> None:
    (timer,) = settings(f"c.add_async_hook({arguments})(print)").timers
    assert (timer.first_s, timer.interval_s, timer.limit_count) == (first_s, interval_s, limit_count)


def test_signal_names(settings: Settings) -> None:
    handlers = settings(
        "for name in ('USR1', 'SIGUSR2', 'ttin', 'sigttou', 'USR1'):\n    c.add_handler(name, print)"
    ).signal_handlers
    assert [handler.signal for handler in handlers] == ["USR1", "USR2", "TTIN", "TTOU", "USR1"]


def test_a_hook_in_a_loop_keeps_what_is_bound_as_a_default(settings: Settings) -> None:
    hooks = settings(
        """
        for i in range(3):
            @c.add_general_hook("before_fork")
            def late(base): return i
            @c.add_general_hook("after_failure")
            def early(base, i=i): return i
        """
    )
    assert [hook.function(None) for hook in hooks.hooks_at("before_fork")] == [2, 2, 2]
    assert [hook.function(None) for hook in hooks.hooks_at("after_failure")] == [0, 1, 2]
