"""How the making of a root file system looks while it goes on."""

from __future__ import annotations

from haconiwa.build.report import Report, prefixed
from haconiwa.cli.output import Output, colours, message_fd

_GREEN = "\x1b[32m"
_PLAIN = "\x1b[0m"


class Progress(Report):
    """Prints what build reports, as it comes.

    Args:
        output: Where to; it keeps silent when asked to be quiet.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._coloured = colours(message_fd())

    def step(self, text: str) -> None:
        self._output.say(text)

    def line(self, prefix: str, text: str) -> None:
        self._output.say(prefixed(prefix, text))

    def success(self, text: str) -> None:
        self._output.say(f"{_GREEN}{text}{_PLAIN}" if self._coloured else text)
