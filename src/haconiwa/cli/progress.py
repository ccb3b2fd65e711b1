"""How the making of a root file system looks while it goes on."""

from __future__ import annotations

import time

from haconiwa.build.report import Report, prefixed
from haconiwa.cli.output import Output, colours, message_fd
from haconiwa.host.sizes import show_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from haconiwa.build.report import Measure
    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.spinner import Spinner

_GREEN = "\x1b[32m"
_PLAIN = "\x1b[0m"


class Progress(Report):
    """Prints what build reports, as it comes. As a context, on a terminal, the last line says what is going on.

    Args:
        output: Where to; it keeps silent when asked to be quiet.
        verbose: Put before each step how long all has taken so far.
    """

    def __init__(self, output: Output, *, verbose: bool = False) -> None:
        self._output = output
        self._coloured = colours(message_fd())
        self._began = time.monotonic() if verbose else None
        self._spinner: Spinner | None = None

    def __enter__(self) -> Progress:
        if not self._output.quiet:
            from haconiwa.cli.spinner import start_spinner

            self._spinner = start_spinner(message_fd())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spinner:
            self._spinner.stop()

    def step(self, text: str) -> None:
        self._say(self._timed(text))
        if self._spinner:
            self._spinner.show(text)

    def aside(self, text: str) -> None:
        if self._began is not None:
            self.step(text)
        elif self._spinner:
            self._spinner.show(text)

    def line(self, prefix: str, text: str) -> None:
        self._say(prefixed(prefix, text))

    def amount(self, measure: Measure | None) -> None:
        if self._spinner:
            self._spinner.measure(measure)

    def success(self, text: str) -> None:
        text = self._timed(text)
        self._say(f"{_GREEN}{text}{_PLAIN}" if self._coloured else text)

    def _timed(self, text: str) -> str:
        if self._began is None:
            return text
        return f"{show_duration(time.monotonic() - self._began):>9}  {text}"

    def _say(self, text: str) -> None:
        if self._spinner:
            with self._spinner.out_of_the_way():
                self._output.say(text)
        else:
            self._output.say(text)


def add_loudness(parser: Parser, verbose: str = "print how long it has taken so far, and the size") -> None:
    """The options for how much is printed; `verbose` is the help of that."""
    parser.add_argument("-q", dest="quiet", action="store_true", help="the same as --quiet")
    parser.add_argument("-v", "--verbose", action="store_true", help=verbose)
