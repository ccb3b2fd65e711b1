"""Functions of the user's: how many arguments they take, and whether they would run at all."""

from __future__ import annotations

from haconiwa.spec.values import Refused, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, MethodType
    from types import FunctionType as FunctionType  # noqa: PLC0414 - for others too
    from typing import Any
else:  # what the module types has, without the time to load it
    FunctionType = type(lambda: None)
    MethodType = type(show.__get__(0))

_VARARGS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x20, 0x80, 0x200
"""Bits of ``co_flags``, as in ``inspect``."""


def function(value: object, arguments: int, *, coroutine: bool = True) -> Callable[..., Any]:
    """A function that can be called with exactly so many arguments.

    Args:
        value: What the user gave. Only plain functions and methods are looked into.
        arguments: How many it will be called with.
        coroutine: It may be ``async def``.
    """
    if not callable(value):
        raise Refused(f"expected a function, not {show(value)}")
    plain: object = value
    given = arguments
    if issubclass(type(value), MethodType):
        method: Any = value
        plain, given = method.__func__, arguments + 1
    if isinstance(plain, FunctionType):
        _check_arguments(plain, given, arguments)
        _check_kind(plain.__code__, coroutine)
    return value


def _check_arguments(plain: FunctionType, given: int, shown: int) -> None:
    code = plain.__code__
    needed = code.co_argcount - len(plain.__defaults__ or ())
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    missing = set(keywords).difference(plain.__kwdefaults__ or ())
    if given < needed or missing or (given > code.co_argcount and not code.co_flags & _VARARGS):
        wanted = {0: "no argument", 1: "one argument"}.get(shown, f"{shown} arguments")
        raise Refused(f'"{code.co_name}" is called with {wanted}, which it does not take')


def _check_kind(code: CodeType, coroutine: bool) -> None:
    if code.co_flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise Refused(f'"{code.co_name}" has a yield: calling it would run nothing of it')
    if code.co_flags & _COROUTINE and not coroutine:
        raise Refused(f'"{code.co_name}" is async, which is not possible here', "write it as a plain def")
