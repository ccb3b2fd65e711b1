from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.errors import ContainerError, HaconiwaError, HookError, HostError, InternalError, Where, printable
from haconiwa.isolation.step import CHILD, Step
from haconiwa.lifecycle.sync import (
    FAILED,
    MESSAGE_SIZE,
    WENT_WRONG,
    decode_failure,
    encode_failure,
    place_of,
    step_error,
)

HERE = Where("web.haco", 7)


class Bind(Step):
    def __init__(self, number: int = 0) -> None:
        super().__init__(CHILD, HERE)
        self.number = number

    def describe(self) -> str:
        return f'bind "/srv/{self.number}"'

    def hint(self, number: int) -> str:
        return "create it" if number == errno.ENOENT else ""


STEPS: list[Step] = [Bind(0), Bind(1), Bind(2)]
texts = st.text(st.characters(categories=("L", "N", "P", "S", "Zs", "Cc", "Cs")), max_size=80)
lines = st.integers(0, 2**31)


def sent(error: BaseException, index: int = 1) -> HaconiwaError:
    return decode_failure(encode_failure(index, error), STEPS, "web")


def test_refusal_of_the_kernel() -> None:
    error = sent(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert isinstance(error, ContainerError)
    assert error.lines() == [
        'error: web: cannot bind "/srv/1": No such file or directory (ENOENT)', "  at: web.haco:7", "  hint: create it",
    ]  # fmt: skip
    assert error.errno == errno.ENOENT


def test_own_words_beside_the_kernels() -> None:
    error = step_error(Bind(), OSError(errno.EINVAL, "tmpfs: Unknown parameter"), "web")
    assert error.why == "tmpfs: Unknown parameter: Invalid argument (EINVAL)"
    assert step_error(Bind(), OSError("no number"), "web").what == 'cannot bind "/srv/0"'


@given(texts, texts, texts, st.integers(0, 255), st.integers(0, 200))
def test_container_error(what: str, why: str, hint: str, status: int, number: int) -> None:
    original = ContainerError(what, why=why, hint=hint, exit_status=status, errno=number)
    error = sent(original)
    assert isinstance(error, ContainerError)
    assert (error.what, error.why, error.hint) == (printable(what), printable(why), printable(hint))
    assert (error.exit_status, error.errno, error.where, error.subject) == (status, number, HERE, "web")


@given(texts, texts, st.lists(st.tuples(texts, lines, texts), max_size=10))
def test_hook_error(what: str, why: str, frames: list[tuple[str, int, str]]) -> None:
    error = sent(HookError(what, why=why, frames=tuple(frames)))
    assert isinstance(error, HookError)
    assert (error.what, error.why, error.where) == (printable(what), printable(why), HERE)
    assert error.frames == tuple((printable(file), line, printable(function)) for file, line, function in frames)


@given(texts, texts, texts)
def test_host_error(what: str, why: str, hint: str) -> None:
    error = sent(HostError(what, why=why, hint=hint))
    assert isinstance(error, HostError)
    assert (error.what, error.why, error.hint) == (printable(what), printable(why), printable(hint))


def test_what_does_not_stop_the_start_is_told_apart() -> None:
    message = encode_failure(1, HookError("the hook failed"), WENT_WRONG)
    assert (message[:1], encode_failure(1, HookError("the hook failed"))[:1]) == (WENT_WRONG, FAILED)
    assert str(decode_failure(message, STEPS, "web")) == "web: the hook failed"


@given(texts)
def test_anything_else_is_a_bug_of_ours(text: str) -> None:
    error = sent(RuntimeError(text))
    assert isinstance(error, InternalError)
    assert error.what == 'cannot bind "/srv/1"'
    assert error.why == f"RuntimeError: {printable(text)}"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("x" * 100_000),
        ContainerError("x" * 100_000, why="y" * 100_000, hint="z" * 100_000),
        HookError("é" * 100_000, frames=tuple(("f" * 300, n, "g" * 300) for n in range(10))),
        OSError(errno.EIO, "x" * 100_000),
    ],
)
def test_message_fits_into_a_packet(error: BaseException) -> None:
    message = encode_failure(0, error)
    assert len(message) < MESSAGE_SIZE
    decode_failure(message, STEPS, "web")


def test_largest_failure_fits() -> None:
    frames = tuple(("é" * 9999, number, "ü" * 9999) for number in range(20))
    assert len(encode_failure(0, HookError("x" * 9999, why="y" * 9999, frames=frames))) < MESSAGE_SIZE


def test_step_that_failed_is_named_even_by_a_wrong_number() -> None:
    assert "/srv/2" in sent(OSError(errno.EIO, "x"), index=99).what


def test_place_of_keeps_a_line_that_is_there() -> None:
    other = Where("other.haco", 1)
    assert place_of(HaconiwaError("x", where=other), HERE).where == other
    assert place_of(HaconiwaError("x"), HERE).where == HERE
