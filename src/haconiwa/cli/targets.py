"""Which containers a command line means: by name, or by the haco file they were started from, which is not executed."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError, HostError
from haconiwa.host.paths import run_dir
from haconiwa.lifecycle.state import State, find_states, list_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    N = TypeVar("N", int, float)

    from haconiwa.cli.arguments import Parser

_YEAR_S = 366 * 24 * 3600


def add_target(parser: Parser) -> None:
    """The arguments that name containers."""
    parser.add_argument("target", metavar="FILE|NAME", help="a container's name, or the haco file it was started from")
    parser.add_argument("-n", "--name", help="of a file's containers only this one")


def add_target_pid(parser: Parser) -> None:
    """The option that tells containers apart by a pid."""
    parser.add_argument(
        "-t", "--target", dest="pid", metavar="PID", type=pid,
        help="of a file's containers only the one with this pid, or with this supervisor",
    )  # fmt: skip


def pid(text: str) -> int:
    """A process id of a command line.

    Raises:
        ValueError: It is none.
    """
    return _at_least(1, int(text))


def seconds(text: str) -> float:
    """A number of seconds of a command line, at most a year.

    Raises:
        ValueError: It is none.
    """
    value = float(text)
    if not abs(value) <= _YEAR_S:
        raise ValueError(text)
    return value


def seconds_from_0(text: str) -> float:
    """A number of seconds of a command line, at most a year, for what cannot be over before it begins.

    Raises:
        ValueError: It is none.
    """
    return _at_least(0, seconds(text))


def count(text: str) -> int:
    """A number of lines of a command line.

    Raises:
        ValueError: It is none.
    """
    return _at_least(0, int(text))


def _at_least(low: int, value: N) -> N:
    if value < low:
        raise ValueError(value)
    return value


# What a value has to be, for the message about one that is not.
pid.__name__ = "a pid"
seconds.__name__ = "a number of seconds"
seconds_from_0.__name__ = "a number of seconds from 0 on"
count.__name__ = "a number from 0 on"


def all_states(unreadable: list[ContainerError] | None = None) -> list[State]:
    """Every recorded container, oldest first.

    Args:
        unreadable: Gets the error for each record that cannot be read.

    Raises:
        HostError: The caller may not know.
    """
    try:
        return list_states(unreadable)
    except PermissionError:
        raise _not_allowed() from None


def find(word: str, name: str | None = None, pid: int | None = None) -> list[State]:
    """The containers that are meant, oldest first.

    Args:
        word: A container's name, or the path of its haco file.
        name: Only the container of that name.
        pid: Only the container with this first process or this supervisor, host pids.

    Raises:
        ContainerError: There is none.
        HostError: The caller may not know.
    """
    try:
        found = find_states(word)
    except PermissionError:
        raise _not_allowed() from None
    except ContainerError as error:
        if error.subject or not os.path.isfile(word):
            raise
        hint = f"haconiwa start {word} starts what it describes"
        raise ContainerError(f'nothing of "{word}" runs', hint=hint) from None
    chosen = [state for state in found if name in (None, state.name)]
    chosen = [state for state in chosen if pid in (None, state.init.pid, state.supervisor.pid)]
    if not chosen:
        wanted = " and ".join(f'{kind} "{value}"' for kind, value in (("name", name), ("pid", pid)) if value)
        raise ContainerError(f'"{word}" has no container with {wanted}', hint=f"it has: {_names(found)}")
    return chosen


def _names(states: Sequence[State]) -> str:
    return ", ".join(state.name for state in states)


def _not_allowed() -> HostError:
    why = f'"{run_dir()}" is not yours'
    return HostError(f"cannot look for containers as user {os.geteuid()}", why=why, hint="run it with sudo")
