"""The hooks of a whole haco file. Most files have none, and then this is not loaded."""

from __future__ import annotations

from haconiwa.errors import HookError
from haconiwa.lifecycle.events import append_event
from haconiwa.lifecycle.hooks import run_hooks
from haconiwa.supervisor.messages import flush, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import BarnSpec
    from haconiwa.supervisor.base import Barn


def call_hooks(spec: BarnSpec, live: Barn, *points: str) -> HookError | None:
    """Call the barn's hooks of some points, those of each whatever those of the one before did.

    Args:
        spec: The file.
        live: What they receive.
        points: In their order.

    Returns:
        The first failure of one that is to stop everything; each failure is reported already.
    """
    flush()
    first = None
    for point in points:
        try:
            run_hooks(spec.hooks_at(point), live, lambda error: _report(live, error))
        except HookError as error:
            _report(live, error)
            first = first or error
    return first


def _report(live: Barn, error: HookError) -> None:
    """Say it, and record it for each container of the file."""
    report(error)
    for name in live.containers:
        append_event(name, "hook_failed", error=str(error))
