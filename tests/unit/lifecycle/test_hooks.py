from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from haconiwa.errors import ContainerError, HookError, Where
from haconiwa.isolation.step import Site
from haconiwa.lifecycle import hooks
from haconiwa.lifecycle.hooks import HookInterrupted, call_function, hook_is_running, run_hook
from haconiwa.spec.model import ContainerSpec, HookSpec

HERE = Where("web.haco", 7)


def fail(base: object) -> None:
    raise ZeroDivisionError("division by zero")


def call(function: Any, argument: object = None) -> Any:
    return call_function(function, argument, 'the hook "it"', HERE)


def test_result_and_argument() -> None:
    assert call(lambda base: [base], 5) == [5]


def test_coroutine_is_waited_for() -> None:
    async def double(base: int) -> int:
        return base * 2

    assert call(double, 4) == 8


def test_exception_shows_the_users_frames_only() -> None:
    def inner() -> None:
        raise ValueError("on purpose")

    def outer(base: object) -> None:
        inner()

    with pytest.raises(HookError) as caught:
        call(outer)
    assert caught.value.what == 'the hook "it" failed'
    assert caught.value.why == "ValueError: on purpose"
    assert caught.value.where == HERE
    assert [function for _, _, function in caught.value.frames] == ["outer", "inner"]
    assert {file for file, _, _ in caught.value.frames} == {__file__}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit("x"), "GeneratorExit: x"),
        (RecursionError(), "RecursionError"),
    ],
)
def test_whatever_it_raises_is_a_hook_error(error: BaseException, why: str) -> None:
    def fail_so(base: object) -> None:
        raise error

    with pytest.raises(HookError) as caught:
        call(fail_so)
    assert caught.value.why == why


def test_interrupted_hook_says_so() -> None:
    def hang(base: object) -> None:
        raise HookInterrupted

    with pytest.raises(HookError, match='the hook "it" was interrupted'):
        call(hang)


def test_of_two_signals_at_once_the_second_is_only_noted() -> None:
    pair, noted = (signal.SIGUSR1, signal.SIGUSR2), []

    def note(number: int, _frame: object) -> None:
        noted.append(number)
        if hook_is_running():
            raise HookInterrupted

    def receive_both(_base: object) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, pair)
        for number in pair:
            os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, pair)

    before = [signal.signal(number, note) for number in pair]
    try:
        for _ in range(100):
            with pytest.raises(HookError, match="was interrupted"):
                call(receive_both)
            assert not hook_is_running()
    finally:
        for number, handler in zip(pair, before, strict=True):
            signal.signal(number, handler)
    assert len(noted) == 200


def test_an_error_of_ours_is_the_hooks_failure_too() -> None:
    def fail_so(base: object) -> None:
        raise ContainerError("cannot do it", hint="do something else")

    with pytest.raises(HookError) as caught:
        call(fail_so)
    assert caught.value.why == "ContainerError: cannot do it"
    assert caught.value.lines()[-1] == "  hint: do something else"


def test_a_hook_runs_only_while_it_does() -> None:
    assert not hook_is_running()
    assert call(lambda _base: hook_is_running())
    with pytest.raises(HookError):
        call(fail)
    assert not hook_is_running()


def test_output_is_flushed(capsys: pytest.CaptureFixture[str]) -> None:
    call(lambda _base: sys.stdout.write("printed"))
    assert capsys.readouterr().out == "printed"


def hook(function: Any, on_error: Any = "abort", point: str = "before_fork") -> HookSpec:
    return HookSpec(point=point, function=function, on_error=on_error, where=HERE)


def test_name_of_the_hook_in_its_error() -> None:
    with pytest.raises(HookError, match=r'^the before_fork hook "fail" failed: ZeroDivisionError: division by zero$'):
        run_hook(hook(fail), None)


def test_step_aborts_or_reports() -> None:
    site = Site(ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}))
    reported: list[Exception] = []
    site.report = reported.append
    hooks.RunHook(hook(fail, "continue"), "child").execute(site)
    assert len(reported) == 1
    with pytest.raises(HookError):
        hooks.RunHook(hook(fail), "child").execute(site)
    assert len(reported) == 1


def test_plan_has_one_step_a_hook_in_order() -> None:
    two = (hook(len), hook(print, point="after_chroot"), hook(repr))
    spec = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}, hooks=two)
    steps = hooks.plan(spec, "before_fork")
    assert [step.describe() for step in steps] == ['run the before_fork hook "len"', 'run the before_fork hook "repr"']
    assert {step.place for step in steps} == {"supervisor"}
    assert [step.where for step in steps] == [HERE, HERE]
