"""How long each part of a start took, for ``haconiwa start --timings``."""

from __future__ import annotations

import time


class Timings:
    """The parts so far, beginning with what it took to get here."""

    def __init__(self) -> None:
        self._parts = [("the interpreter and our modules, processor time", time.process_time())]
        self._since = time.monotonic()

    def note(self, part: str) -> None:
        """A part has ended, and the next one begins.

        Args:
            part: What it was.
        """
        now = time.monotonic()
        self._parts.append((part, now - self._since))
        self._since = now

    def lines(self) -> list[str]:
        """A line for each part, in milliseconds, and one for all together."""
        together = sum(seconds for _, seconds in self._parts)
        return [f"{seconds * 1000:9.1f} ms  {part}" for part, seconds in [*self._parts, ("together", together)]]
