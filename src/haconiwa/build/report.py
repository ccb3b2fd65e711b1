"""What building a root file system tells its user, as it happens."""

from __future__ import annotations

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

    def success(self, text: str) -> None:
        """Something ended well: ``Success!``."""


def prefixed(prefix: str, text: str) -> str:
    """A tool's line as a user sees it: ``[bootstrap.lxc]:    text``, with short prefixes of one width."""
    return f"{f'[{prefix}]:':<{_PREFIX_WIDTH}} {text}"
