"""``haconiwa kill``: send one signal to containers."""

from __future__ import annotations

import signal

from haconiwa.cli.stop import report_all
from haconiwa.cli.targets import add_target, add_target_pid, find, seconds
from haconiwa.errors import ContainerError
from haconiwa.kernel.signals import signal_number
from haconiwa.lifecycle.state import live_status
from haconiwa.lifecycle.stop import forget, send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = """\
Send one signal to a container's first process and wait until the container is gone; 125 when it still runs after the
timeout. Nothing stronger is ever sent: haconiwa stop does that.

Given a haco file, the signal goes to all containers that were started from it, one after the other. The kernel drops
a signal for which PID 1 of a container has no handler, except KILL and STOP. With a signal that is not meant to end
the container, use -T -1."""
EPILOG = """\
examples:
  haconiwa kill web                     TERM, and wait for 10 s
  haconiwa kill -s KILL web
  haconiwa kill -s HUP -T -1 web        do not wait
  haconiwa kill -n child-1 barn.haco    one of a file's containers"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    add_target(parser)
    add_target_pid(parser)
    parser.add_argument("-s", "--signal", type=_signal, default=signal.SIGTERM, help="name or number (default: TERM)")
    parser.add_argument(
        "-T", "--timeout", metavar="SECONDS", type=seconds, default=10.0,
        help="how long to wait (default: 10); a negative number does not wait",
    )  # fmt: skip


def run(arguments: SimpleNamespace, _output: Output) -> int:
    """Signal one after the other, the one that was started last first."""
    failures = []
    for state in reversed(find(arguments.target, arguments.name, arguments.pid)):
        try:
            if live_status(state) == "stopped":
                forget(state)
                raise ContainerError("is not running", subject=state.name)
            send_signal(state, arguments.signal, arguments.timeout)
        except ContainerError as error:
            failures.append(error)
    report_all(failures)
    return 0


def _signal(text: str) -> int:
    number = signal_number(text)
    if number == 0:
        raise ValueError(text)
    return number


_signal.__name__ = "a signal"  # for the message about a value that is none
