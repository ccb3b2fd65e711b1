"""Which line of the user's did it: the frames of a call or a traceback, without ours and the standard library's."""

from __future__ import annotations

import os
import sys

from haconiwa.errors import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_OUTER_LINES = 8
"""How many "called from" lines are kept: enough to find the way, few enough for a recursion without end."""


def here() -> Where:
    """The innermost line of the user's that is running, and the lines that led there."""
    lines: list[tuple[str, int]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        ours = module_of(frame)
        if ours is None:
            _add_line(lines, frame.f_code, frame.f_lineno)
        elif (
            not ours.startswith(("haconiwa.dsl.", "haconiwa.spec.", "haconiwa.image")) or ours == "haconiwa.dsl.execute"
        ):
            break  # whoever loads the file, or runs a hook, is no part of the way
        frame = frame.f_back
    return _where(lines)


def of_traceback(trace: TracebackType | None) -> Where | None:
    """The innermost line of the user's in a traceback, and the lines that led there."""
    lines: list[tuple[str, int]] = []
    while trace is not None:
        if module_of(trace.tb_frame) is None:
            _add_line(lines, trace.tb_frame.f_code, trace.tb_lineno)
        trace = trace.tb_next
    return _where(lines[::-1]) if lines else None


def module_of(frame: FrameType) -> str | None:
    """The module of ours that a frame runs in; None for the user's."""
    name = frame.f_globals.get("__name__")
    # The user can put anything into __name__, even an object whose methods raise.
    return name if type(name) is str and (name == "haconiwa" or name.startswith("haconiwa.")) else None


def _add_line(lines: list[tuple[str, int]], code: CodeType, line: int | None) -> None:
    file = code.co_filename
    if file.startswith("<"):
        return
    if file.startswith(_STANDARD_LIBRARY) and "-packages" + os.sep not in file:
        return
    lines.append((file, line or code.co_firstlineno))


def _where(lines: list[tuple[str, int]]) -> Where:
    if not lines:
        return Where("?", 0)
    (file, line), *outer = lines
    return Where(file, line, tuple(outer[:_OUTER_LINES]))
