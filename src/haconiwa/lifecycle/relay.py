"""The user's terminal and a container's pseudo-terminal, joined.

While they are joined the user's terminal is raw, so that the container's own line discipline is the one that acts:
Ctrl-C, Ctrl-Z and window sizes are the container's. Typing Ctrl-] three times within a second asks to end it, for
programs that never end by themselves.
See: termios(3), pty(7).
"""

from __future__ import annotations

import os
import termios
import time

from haconiwa.host.descriptors import write_all
from haconiwa.host.loop import READABLE, WRITABLE, Loop
from haconiwa.kernel.terminal import get_window_size, set_window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CHUNK = 65536
_MOST_WAITING = 1 << 20
"""Bytes; the kernel keeps less for a terminal."""
_ESCAPE = 0x1D  # Ctrl-]
_ESCAPES_WANTED = 3
_ESCAPE_WITHIN_S = 1.0


class Relay:
    """Copies between a terminal and the master of a pseudo-terminal, on a loop.

    Args:
        loop: Where it is watched; the caller runs it.
        master_fd: The pseudo-terminal's master; closed at the end.
        on_escape: Called when the user asks to end it.
        on_hangup: Called when the user's terminal is gone.

    Attributes:
        ended: No process has the pseudo-terminal open any more, and all of its output is shown.
    """

    def __init__(
        self, loop: Loop, master_fd: int, on_escape: Callable[[], None], on_hangup: Callable[[], None]
    ) -> None:
        self.ended = False
        self._loop = loop
        self._master_fd = master_fd
        self._on_escape = on_escape
        self._on_hangup = on_hangup
        self._typed = b""
        self._escapes: list[float] = []
        self._saved = termios.tcgetattr(0)
        os.set_blocking(master_fd, False)
        self.resize()
        make_raw(0, self._saved)
        loop.watch(0, lambda _events: self._read_typed())
        loop.watch(master_fd, self._master_ready)

    def resize(self) -> None:
        """Give the container's terminal the size of the user's; call it on SIGWINCH."""
        if not self.ended:
            set_window_size(self._master_fd, *get_window_size(0))

    def close(self) -> None:
        """Show what is left, part the terminals, and give the user's its modes back. Idempotent."""
        if not self.ended:
            self.show_waiting()
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._loop.unwatch(0)
        self._loop.unwatch(self._master_fd)
        os.close(self._master_fd)
        try:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
        except termios.error:
            pass  # the terminal itself is gone

    def _read_typed(self) -> None:
        try:
            typed = os.read(0, _CHUNK)
        except OSError:
            typed = b""
        if not typed:
            self._loop.unwatch(0)
            self._on_hangup()
            return
        self._note_escapes(typed)
        self._typed += typed
        self._loop.unwatch(0)  # nothing more is read until this is taken
        self._write_typed()

    def _note_escapes(self, typed: bytes) -> None:
        now = time.monotonic()
        for byte in typed:
            self._escapes = [*self._escapes, now] if byte == _ESCAPE else []
        recent = [moment for moment in self._escapes if now - moment <= _ESCAPE_WITHIN_S]
        self._escapes = recent
        if len(recent) >= _ESCAPES_WANTED:
            self._escapes = []
            self._on_escape()

    def _write_typed(self) -> None:
        try:
            self._typed = self._typed[os.write(self._master_fd, self._typed) :]
        except BlockingIOError:
            pass
        if self._typed:
            self._loop.watch(self._master_fd, self._master_ready, READABLE | WRITABLE)
        else:
            self._loop.watch(self._master_fd, self._master_ready)
            self._loop.watch(0, lambda _events: self._read_typed())

    def _master_ready(self, events: int) -> None:
        if events & WRITABLE and self._typed:
            self._write_typed()
        if events & ~WRITABLE and not self._show():
            self._end()

    def _show(self) -> bool:
        """Show what the container printed; False when nobody can print any more."""
        try:
            output = os.read(self._master_fd, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # EIO: the last process that had it open is gone
            return False
        write_all(1, output)
        return bool(output)

    def show_waiting(self) -> None:
        """Show what the container has printed so far; it may go on printing."""
        if self.ended:
            return
        left = _MOST_WAITING
        try:
            while left > 0 and (output := os.read(self._master_fd, _CHUNK)):
                write_all(1, output)
                left -= len(output)
        except OSError:
            pass


def make_raw(fd: int, saved: list[Any]) -> None:
    """Let a terminal pass on every byte as it is, both ways, as cfmakeraw(3) does."""
    modes: list[Any] = [list(part) if isinstance(part, list) else part for part in saved]
    modes[0] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    modes[1] &= ~termios.OPOST
    modes[2] = modes[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    modes[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSADRAIN, modes)
