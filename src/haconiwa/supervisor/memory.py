"""What makes a supervisor small and a start quick: memory stays shared with the process it was forked from."""

from __future__ import annotations

import gc


def load_for_all() -> None:
    """Load what every supervisor would load once its container is cloned: with several of them, once for all."""
    from haconiwa.lifecycle import events
    from haconiwa.supervisor import control, ending, requests, watch

    del events, control, ending, requests, watch


def collect_from_now_on() -> None:
    """Turn the garbage collector on, in a process that will live for a while.

    It is off during a start, which is over before a collection pays. What exists by now is never looked at again: a
    collection writes to every object, and each page written to after a fork is copied.
    """
    gc.freeze()
    gc.enable()
