"""A screen of a terminal that is drawn again and again, until the user has seen enough."""

from __future__ import annotations

import os
import signal
import termios
import tty

from haconiwa.errors import HostError, describe_errno
from haconiwa.host.loop import Loop
from haconiwa.kernel.terminal import get_window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # another screen, no cursor, no line goes on in the next
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_USUAL_SIZE = (24, 80)
_END_KEYS = b"qQ"


class Screen:
    """The terminal on stdout, as a context: it shows a screen of ours, and at the end what was there before.

    The key q ends it, Ctrl-C raises KeyboardInterrupt as everywhere, and Ctrl-Z gives the terminal back for a while.

    Args:
        lines: Makes what is shown, for a number of columns; lines that the terminal has no room for are left out.
        refresh: Called each time the interval is over, before it is drawn anew.
        interval_s: How often.
    """

    def __init__(self, lines: Callable[[int], list[str]], refresh: Callable[[], None], interval_s: float) -> None:
        self._lines = lines
        self._refresh = refresh
        self._interval_s = interval_s
        self._loop = Loop()
        self._ended = False
        self._resumed = False
        self._modes = termios.tcgetattr(0) if os.isatty(0) else None

    def run(self) -> None:
        """Show it until the user ends it."""
        wake_fd, wake_write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before_fd = signal.set_wakeup_fd(wake_write_fd, warn_on_full_buffer=False)
        handlers = {signal.SIGWINCH: self._resized, signal.SIGTSTP: self._suspend}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._loop.watch(wake_fd, lambda _events: self._woken(wake_fd))
        if self._modes:
            self._loop.watch(0, lambda _events: self._typed())
        try:
            self._enter()
            self._draw()
            self._loop.call_after(self._interval_s, self._tick)
            self._loop.run_until(lambda: self._ended)
        finally:
            self._leave()
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake_fd)
            os.close(wake_write_fd)

    def _enter(self) -> None:
        if self._modes:
            tty.setcbreak(0, termios.TCSANOW)
        self._write(_ENTER)

    def _leave(self) -> None:
        try:
            self._write(_LEAVE)
            if self._modes:
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)
        except (HostError, termios.error):
            pass  # the terminal itself is gone

    def _tick(self) -> None:
        self._loop.call_after(self._interval_s, self._tick)
        self._refresh()
        self._draw()

    def _draw(self) -> None:
        try:
            size = get_window_size(1)
        except OSError as error:
            raise HostError("cannot draw on the terminal", why=describe_errno(error.errno or 0)) from None
        rows, columns = (found or usual for found, usual in zip(size, _USUAL_SIZE, strict=True))
        shown = self._lines(columns)[:rows]
        self._write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in shown) + "\x1b[J")

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError as error:
            raise HostError("cannot draw on the terminal", why=describe_errno(error.errno or 0)) from None

    def _typed(self) -> None:
        typed = os.read(0, 1024)
        if not typed:
            self._loop.unwatch(0)
        self._ended = self._ended or any(key in typed for key in _END_KEYS)

    def _woken(self, fd: int) -> None:
        """A signal came."""
        os.read(fd, 1024)
        if self._resumed:
            self._resumed = False
            self._enter()
        self._draw()

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        """Nothing but waking the loop up, which draws anew."""

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)  # and here it goes on
        self._resumed = True
