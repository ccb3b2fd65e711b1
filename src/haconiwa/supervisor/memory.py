"""What a process does that will live for a while: it stays small, and goes on with the code that it began with."""

from __future__ import annotations

import gc

from haconiwa.image import is_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.host.loop import Loop


def load_for_all() -> None:
    """Load what every supervisor would load once its container is cloned: with several of them, once for all."""
    from haconiwa.lifecycle import events
    from haconiwa.supervisor import control, ending, requests, watch

    del events, control, ending, requests, watch


def settle(loop: Loop) -> None:
    """Prepare a barn or a supervisor for a long life, once the start is over or goes on without it.

    The garbage collector is off during a start, which is over before a collection pays. What exists by now is never
    looked at again: a collection writes to every object, and each page written to after a fork is copied.

    Args:
        loop: On which it will wait.
    """
    gc.freeze()
    gc.enable()
    if not is_held():
        from haconiwa.supervisor.upgrade import load_the_rest

        load_the_rest(loop)
