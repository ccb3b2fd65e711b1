"""What makes a supervisor small and a start quick: memory stays shared with the process it was forked from."""

from __future__ import annotations

import gc


def collect_from_now_on() -> None:
    """Turn the garbage collector on, in a process that will live for a while.

    It is off during a start, which is over before a collection pays. What exists by now is never looked at again: a
    collection writes to every object, and each page written to after a fork is copied.
    """
    gc.freeze()
    gc.enable()
