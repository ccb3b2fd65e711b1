"""Calling the user's functions, so that whatever they do ends in a `HookError` or nothing."""

from __future__ import annotations

import sys

from haconiwa.errors import HaconiwaError, HookError
from haconiwa.isolation.step import CHILD, INSIDE, PARENT, RUNNING, SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

    from haconiwa.errors import Where
    from haconiwa.spec.model import ContainerSpec, HookSpec

_PACKAGE = __file__.rpartition("/")[0].rpartition("/")[0] + "/"
_MOST_FRAMES = 20
_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the import


class HookInterrupted(BaseException):
    """Raised in a running hook when its supervisor is told to stop. No hook should catch it."""


_running: list[str] = []


def hook_is_running() -> bool:
    """Whether a function of the user's is being called by this process right now."""
    return bool(_running)


def call_function(function: Callable[..., Any], argument: object, what: str, where: Where | None = None) -> Any:
    """Call a function of the user's and wait for it, also when it is ``async def``.

    Args:
        function: Takes one argument.
        argument: What it receives.
        what: Names the call in an error: ``the before_fork hook "prepare"``.
        where: The line that added it.

    Returns:
        What the function returns.

    Raises:
        HookError: It raised, called sys.exit(), or was interrupted.
    """
    _running.append(what)
    try:
        result = function(argument)
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _CO_COROUTINE:
            import asyncio  # costs 30 ms, so only for those who use it

            result = asyncio.run(result)
        sys.stdout.flush()
        return result
    except HookInterrupted:
        raise HookError(f"{what} was interrupted", where=where) from None
    except HaconiwaError:
        raise
    except BaseException as error:
        raise hook_error(error, what, where) from error
    finally:
        _running.pop()


def hook_error(error: BaseException, what: str, where: Where | None) -> HookError:
    """The error of a hook with the user's frames only."""
    words = str(error)
    name = type(error).__name__
    why = f"{name}: {words}" if words else name
    return HookError(f"{what} failed", why=why, frames=user_frames(error.__traceback__), where=where)


def user_frames(traceback: TracebackType | None) -> tuple[tuple[str, int, str], ...]:
    """(file, line, function) of the frames outside this package. No source file is read.

    Of a deep recursion the outermost frame and the innermost ones.
    """
    frames = []
    while traceback is not None:
        frame: FrameType = traceback.tb_frame
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            frames.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return tuple(frames if len(frames) <= _MOST_FRAMES else [frames[0], *frames[1 - _MOST_FRAMES :]])


def function_name(function: Callable[..., Any]) -> str:
    """How a function is called in messages."""
    return getattr(function, "__qualname__", None) or type(function).__name__


def run_hook(hook: HookSpec, argument: object) -> None:
    """Call one hook.

    Raises:
        HookError: It raised.
    """
    call_function(hook.function, argument, f'the {hook.point} hook "{function_name(hook.function)}"', hook.where)


class RunHook(Step):
    """Call one of the user's functions."""

    __slots__ = ("hook",)

    def __init__(self, hook: HookSpec, place: str) -> None:
        super().__init__(place, hook.where)
        self.hook = hook

    def describe(self) -> str:
        return f'run the {self.hook.point} hook "{function_name(self.hook.function)}"'

    def execute(self, site: Site) -> None:
        try:
            run_hook(self.hook, site.base)
        except HookError as error:
            if self.hook.on_error == "abort":
                raise
            site.report(error)


_PLACES = {
    "before_fork": SUPERVISOR,
    "after_network_created": SUPERVISOR,
    "immediately_after_fork_on_parent": PARENT,
    "after_fork": CHILD,
    "after_network_initialized": CHILD,
    "before_chroot": CHILD,
    "after_chroot": INSIDE,
    "before_start_wait": RUNNING,
}


def plan(spec: ContainerSpec, point: str, place: str = "") -> list[Step]:
    """One step for each hook of a point that belongs to the start, in another place than its usual one if given."""
    return [RunHook(hook, place or _PLACES[point]) for hook in spec.hooks_at(point)]
