"""The last line of a terminal while a root file system is made: what is done, how far that is, and for how long.

Rich draws it, where it is installed. A timer's signal has it drawn anew: a thread would be in the way of the namespaces
that are made meanwhile.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from haconiwa.host.sizes import show_duration, show_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from rich.live import Live

    from haconiwa.build.report import Measure

_INTERVAL_S = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def start_spinner(fd: int) -> Spinner | None:
    """One on a terminal; None where the stream is none that can show it, or rich is not installed."""
    if not os.isatty(fd):
        return None
    try:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        return None
    console = Console(file=open(fd, "w", encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115
    if console.is_dumb_terminal:
        return None

    def draw(text: str) -> Live:
        line = Text(text, no_wrap=True, overflow="ellipsis", style="dim")
        live = Live(line, console=console, auto_refresh=False, transient=True)
        live.start(refresh=True)
        return live

    return Spinner(draw)


class Spinner:
    """Takes SIGALRM and the interval timer until it is stopped.

    Args:
        draw: Draws a line of text, which its result removes again.
    """

    def __init__(self, draw: Callable[[str], Live]) -> None:
        self._draw = draw
        self._live: Live | None = None
        self._text = ""
        self._since = 0.0
        self._measure: Measure | None = None
        self._before = signal.signal(signal.SIGALRM, self._tick)
        signal.siginterrupt(signal.SIGALRM, False)  # as the C library has it
        signal.setitimer(signal.ITIMER_REAL, _INTERVAL_S, _INTERVAL_S)

    def show(self, text: str) -> None:
        """What is done from now on; it is drawn when that takes longer than a moment."""
        self._text, self._since = text, time.monotonic()

    def measure(self, measure: Measure | None) -> None:
        """What tells how far that is, until it is None."""
        self._measure = measure

    def stop(self) -> None:
        """Remove the line and let go of the signal."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        self._erase()

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        """While something else is printed."""
        with _blocked((signal.SIGALRM,)):
            self._erase()
            yield

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        if not self._text:
            return
        elapsed_s = time.monotonic() - self._since
        frame = _FRAMES[int(elapsed_s / _INTERVAL_S) % len(_FRAMES)]
        # an interrupt in the middle would leave a line that nobody knows of, and no cursor
        with _blocked(signal.valid_signals()), suppress(OSError):  # a terminal that is gone is told by the next print
            self._erase()
            self._live = self._draw(f"{frame} {self._text.rstrip('.')} {self._amount()}{show_duration(elapsed_s)}")

    def _amount(self) -> str:
        """``12 MiB of 206 MiB (6 %), ``: how far the step is; empty when that is not known."""
        done = total = 0
        if self._measure:
            with suppress(OSError):
                done, total = self._measure()
        if done and total:
            done = min(done, total)
            return f"{show_size(done)} of {show_size(total)} ({100 * done // total} %), "
        return f"{show_size(done)}, " if done else ""

    def _erase(self) -> None:
        with _blocked(signal.valid_signals()):
            live, self._live = self._live, None
            if live:
                live.stop()


@contextmanager
def _blocked(signals: Iterable[int]) -> Iterator[None]:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
