"""The container's process between clone and exec: everything that runs there starts here.

Nothing in it may import, look up a codec or a name through the C library, log through a handler, or open a relative
path; what fails goes to the supervisor as data. It never returns and never runs the supervisor's clean-up.
"""

from __future__ import annotations

import gc
import os

from haconiwa.errors import EXIT_FAILURE
from haconiwa.kernel import signals as signal
from haconiwa.kernel.process import reset_library_signals, set_dumpable, set_pdeathsig
from haconiwa.lifecycle.hooks import RESTORED_AFTER_HOOKS
from haconiwa.lifecycle.sync import WENT_WRONG, encode_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from haconiwa.isolation.step import Site, Step

_UNCHANGEABLE = (signal.SIGKILL, signal.SIGSTOP)


def run_child(steps: list[Step], site: Site, trace: Callable[[Step], None]) -> NoReturn:
    """Walk the child's steps; the last one does not return.

    Runs in: container child.
    """
    index = 0
    try:
        set_pdeathsig(signal.SIGKILL)  # a supervisor that dies meanwhile leaves nothing half made
        gc.disable()  # no finalizer of the supervisor's objects may run here
        if not (site.spec.unprivileged and "user" in site.spec.namespaces):  # else when the maps are written
            set_dumpable(False)
        reset_signals()
        RESTORED_AFTER_HOOKS.clear()
        site.report = lambda error: _tell(site, index, error)
        for index, step in enumerate(steps):  # noqa: B007 - named in the failure
            trace(step)
            step.execute(site)
    except BaseException as error:
        os.write(site.channel_fd, encode_failure(index, error))
    finally:
        os._exit(EXIT_FAILURE)


def _tell(site: Site, index: int, error: BaseException) -> None:
    """Let the supervisor say and record what went wrong and does not stop the start."""
    os.write(site.channel_fd, encode_failure(index, error, WENT_WRONG))


def reset_signals() -> None:
    """Give every signal its default action and unblock all: the interpreter ignores some, and that survives an exec."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in _UNCHANGEABLE:
            signal.signal(number, signal.SIG_DFL)
    reset_library_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
