"""Calling the user's functions, so that whatever they do ends in a `HookError` or nothing."""

from __future__ import annotations

import os
import sys

from haconiwa.errors import HaconiwaError, HookError
from haconiwa.isolation.step import CHILD, INSIDE, PARENT, RUNNING, SUPERVISOR, Site, Step
from haconiwa.kernel import signals as signal

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

RESTORED_AFTER_HOOKS: list[Callable[[], None]] = []
"""Called after each function of the user's in this process; the container's process has none of them."""


def hook_is_running() -> bool:
    """Whether a function of the user's is being called by this process right now."""
    return bool(_running)


def call_function(
    function: Callable[..., Any],
    argument: object,
    what: str,
    where: Where | None = None,
    *,
    more: tuple[object, ...] = (),
    timeout_s: float | None = None,
) -> Any:
    """Call a function of the user's and wait for it, also when it is ``async def``.

    The working directory, the umask, the signal mask and our signal handlers are afterwards as they were before. A
    copy of this process that the function has forked and let return ends there.

    Args:
        function: Takes one argument, and `more` if there are.
        argument: What it receives.
        what: Names the call in an error: ``the before_fork hook "prepare"``.
        where: The line that added it.
        more: Further arguments.
        timeout_s: After which it is interrupted, as well as Python allows; None for no limit.

    Returns:
        What the function returns.

    Raises:
        HookError: It raised, called sys.exit(), or was interrupted.
    """
    surroundings = _Surroundings(timeout_s)
    try:
        try:
            _running.append(what)
            result = function(argument, *more)
            if getattr(getattr(function, "__code__", None), "co_flags", 0) & _CO_COROUTINE:
                import asyncio  # costs 30 ms, so only for those who use it

                result = asyncio.run(result)
            sys.stdout.flush()
        finally:
            _running.pop()  # from here on a signal is only noted: raised once more it would pass by what follows
        return result
    except HookInterrupted as error:
        raise HookError(f"{what} was interrupted", why=str(error), where=where) from None
    except BaseException as error:
        raise hook_error(error, what, where) from error
    finally:
        surroundings.restore()


class _Surroundings:
    """What of its process a function of the user's could leave changed, and its time limit."""

    def __init__(self, timeout_s: float | None) -> None:
        self._pid = os.getpid()
        self._umask = os.umask(0o22)
        os.umask(self._umask)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            self._folder_fd = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            self._folder_fd = -1
        self._limited = timeout_s is not None
        if timeout_s is not None:
            signal.signal(signal.SIGALRM, lambda _number, _frame: _interrupt(f"it took longer than {timeout_s:g} s"))
            # again and again, for the case that it catches everything
            signal.setitimer(signal.ITIMER_REAL, timeout_s, 1.0)

    def restore(self) -> None:
        if os.getpid() != self._pid:
            os._exit(0)
        if self._limited:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.umask(self._umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if self._folder_fd >= 0:
            try:
                os.fchdir(self._folder_fd)
                os.close(self._folder_fd)
            except OSError:
                pass  # it has closed what is not its own
        for restore in RESTORED_AFTER_HOOKS:
            restore()


def _interrupt(why: str) -> None:
    if hook_is_running():
        raise HookInterrupted(why)


def hook_error(error: BaseException, what: str, where: Where | None) -> HookError:
    """The error of a hook with the user's frames only."""
    words = str(error)
    name = type(error).__name__
    why = f"{name}: {words}" if words else name
    failure = HookError(f"{what} failed", why=why, frames=user_frames(error.__traceback__), where=where)
    failure.hint = error.hint if isinstance(error, HaconiwaError) else ""
    return failure


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
    """Call one hook, for as long as it may take.

    Raises:
        HookError: It raised.
    """
    what = f'the {hook.point} hook "{function_name(hook.function)}"'
    call_function(hook.function, argument, what, hook.where, timeout_s=hook.timeout_s)


def run_hooks(hooks: tuple[HookSpec, ...], argument: object, report: Callable[[HookError], None]) -> None:
    """Call the hooks of a point in their order.

    Args:
        hooks: All of that point.
        argument: What they receive.
        report: Called with the failure of one that stops nothing.

    Raises:
        HookError: One failed that is to stop what comes after; the further ones are left out.
    """
    for hook in hooks:
        try:
            run_hook(hook, argument)
        except HookError as error:
            if hook.on_error == "abort":
                raise
            report(error)


class RunHook(Step):
    """Call one of the user's functions."""

    __slots__ = ("hook",)

    def __init__(self, hook: HookSpec, place: str) -> None:
        super().__init__(place, hook.where)
        self.hook = hook

    def describe(self) -> str:
        return f'run the {self.hook.point} hook "{function_name(self.hook.function)}"'

    def execute(self, site: Site) -> None:
        run_hooks((self.hook,), site.base, site.report)


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
