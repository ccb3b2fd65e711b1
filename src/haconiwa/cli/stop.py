"""``haconiwa stop``: end containers whatever they do."""

from __future__ import annotations

from haconiwa.cli.targets import add_target, all_states, find, seconds_from_0
from haconiwa.errors import ContainerError
from haconiwa.lifecycle.damaged import is_damaged, stop_damaged
from haconiwa.lifecycle.state import live_status
from haconiwa.lifecycle.stop import forget, refuse_leftovers, stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.lifecycle.state import State

DESCRIPTION = """\
End a container: TERM to its first process, and after the timeout KILL to everything in it. When stop returns 0, it is
gone, its teardown hooks have run, and nothing of it is left. A group into which something else has put a process is
named, and the process stays.

Given a haco file, all containers that were started from it are stopped, one after the other. A first process without
a handler for TERM would never notice it, as the kernel protects PID 1: one that is younger than the timeout has until
then to get one, an older one gets KILL at once."""
EPILOG = """\
examples:
  haconiwa stop web                     by name
  haconiwa stop web.haco                all containers of a file
  haconiwa stop -T 60 web               with more time to end by itself"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    add_target(parser)
    parser.add_argument(
        "-T", "--timeout", metavar="SECONDS", type=seconds_from_0, default=10.0,
        help="time for TERM (default: 10); 0 sends KILL at once",
    )  # fmt: skip


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Stop one after the other, the one that was started last first; what cannot be stopped keeps no other running."""
    all_states()  # whoever may not look for containers is told so
    if is_damaged(arguments.target):
        ended = stop_damaged(arguments.target, arguments.timeout)
        output.say(f"{arguments.target}: its record could not be read; {'all was ended' if ended else 'nothing ran'}")
        return 0
    failures = []
    for state in reversed(find(arguments.target, arguments.name)):
        try:
            _stop(state, arguments.timeout, output)
        except ContainerError as error:
            failures.append(error)
    report_all(failures)
    return 0


def _stop(state: State, timeout_s: float, output: Output) -> None:
    if live_status(state) == "stopped":
        forget(state)
        refuse_leftovers(state)
        output.say(f"{state.name}: had ended already")
    else:
        stop(state, timeout_s, output.say)


def report_all(failures: list[ContainerError]) -> None:
    """Print every failure but the last and raise that.

    Raises:
        ContainerError: There was one.
    """
    from haconiwa.cli.output import print_error

    for error in failures[:-1]:
        print_error(error)
    if failures:
        raise failures[-1]
