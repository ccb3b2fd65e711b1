"""What the program says: results to stdout, messages to the terminal or else to stderr, errors to stderr."""

from __future__ import annotations

import os
import sys

from haconiwa.errors import HaconiwaError, HostError, describe_errno

_RED = "\x1b[31;1m"
_PLAIN = "\x1b[0m"


def message_fd() -> int:
    """Where messages of ours go: stdout when it is a terminal, else stderr, so that a pipe gets results only."""
    return 1 if os.isatty(1) else 2


class Output:
    """The ways to print.

    Args:
        quiet: Say nothing that is not a result or an error.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def result(self, text: str) -> None:
        """What the command was asked for, on stdout."""
        _write(1, text)

    def say(self, text: str) -> None:
        """A message about what is done. That nobody reads it any more is no reason not to do it."""
        if not self.quiet:
            try:
                _write(message_fd(), text)
            except BrokenPipeError:
                self.quiet = True


def _write(fd: int, text: str) -> None:
    """Write a line after what a haco file has printed.

    Raises:
        BrokenPipeError: Nobody reads.
        HostError: It cannot be written.
    """
    data = f"{text}\n".encode("utf-8", "surrogateescape")
    try:
        sys.stdout.flush()
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError("cannot write the output", why=describe_errno(error.errno or 0)) from None


def print_error(error: HaconiwaError) -> None:
    """An error with its lines, on stderr."""
    lines = error.lines()
    if colours(2):
        lines = [line.replace("error:", f"{_RED}error:{_PLAIN}", 1) for line in lines]
    try:
        sys.stdout.flush()
    except OSError:
        pass  # the error is more important
    os.write(2, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def colours(fd: int) -> bool:
    """Whether a stream may be coloured: a screen, and NO_COLOR is not set. See: https://no-color.org."""
    return is_screen(fd) and not os.environ.get("NO_COLOR")


def is_screen(fd: int) -> bool:
    """Whether a stream is a terminal that can do more than show one line after the other."""
    return os.isatty(fd) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
