"""What building a root file system tells its user, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Measure = Callable[[], tuple[int, int]]

_PREFIX_WIDTH = 19


class Report:
    """Receives the progress of `create` and `provision`. This one keeps silent; the command line prints.

    Text comes from tools and archives that may be hostile, but is free of control characters except tabs.
    """

    def step(self, text: str) -> None:
        """Something begins, or a remark: ``Creating rootfs of web...``."""

    def aside(self, text: str) -> None:
        """Something begins that matters only while it goes on: ``Keeping a copy...``."""

    def line(self, prefix: str, text: str) -> None:
        """One line of a tool's output, as it comes.

        Args:
            prefix: What runs: ``bootstrap.lxc``, ``provision.shell-1``.
            text: The line without its end.
        """

    def amount(self, measure: Measure | None) -> None:
        """How far the step is, for who shows that while it goes on; None when there is nothing more to measure."""

    @contextmanager
    def measured(self, measure: Measure) -> Iterator[None]:
        """Something is at work meanwhile that can be measured.

        Args:
            measure: What tells the bytes that are done, and those that will be; 0 when that is not known. It is called
                by a signal handler, and may raise OSError while there is nothing to tell.
        """
        self.amount(measure)
        try:
            yield
        finally:
            self.amount(None)

    def success(self, text: str) -> None:
        """Something ended well: ``Success!``."""


def prefixed(prefix: str, text: str) -> str:
    """A tool's line as a user sees it: ``[bootstrap.lxc]:    text``, with short prefixes of one width."""
    return f"{f'[{prefix}]:':<{_PREFIX_WIDTH}} {text}"
