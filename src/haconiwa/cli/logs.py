"""``haconiwa logs``: what a container in the background, or its supervisor, has printed."""

from __future__ import annotations

import os
import select
import time

from haconiwa.cli.targets import count, find
from haconiwa.errors import ConfigError, ContainerError, Problem
from haconiwa.host.descriptors import write_all
from haconiwa.host.paths import log_dir, log_file, supervisor_log_file
from haconiwa.isolation.log import TIMES
from haconiwa.lifecycle.follow import Follower
from haconiwa.lifecycle.identity import is_alive
from haconiwa.lifecycle.state import read_state
from haconiwa.spec.values import Refused, container_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.lifecycle.state import State

_NAMES_SHOWN = 20
DESCRIPTION = """\
Print what a container that runs in the background has printed, stdout and stderr in one, or with --supervisor what
its supervisor and its hooks have. Logs outlive their container and are continued by the next start; one that gets
longer than 8 MiB is put aside, and one such older part is kept.

-f goes on until the container has ended. Bytes are printed as they are, control characters of terminals too."""
EPILOG = """\
examples:
  haconiwa logs web                     everything that is still there
  haconiwa logs -f -n 10 web            the last ten lines, and what follows
  haconiwa logs -t web                  each line with the time it was written
  haconiwa logs --supervisor web        messages and hooks"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("target", metavar="FILE|NAME", help="the container, or the file of one that still exists")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container has ended")
    parser.add_argument("-n", "--lines", metavar="N", type=count, help="of the past only the last N lines")
    parser.add_argument("-t", "--timestamps", action="store_true", help="print when each line was written, to 0.1 s")
    parser.add_argument("--supervisor", action="store_true", help="what the supervisor has printed")


def run(arguments: SimpleNamespace, output: Output) -> int:  # noqa: ARG001 - the log is printed as it is
    """Print the past, and with -f what follows."""
    path_of = supervisor_log_file if arguments.supervisor else log_file
    name = _name(arguments.target, path_of)
    path = path_of(name)
    state = read_state(name) if arguments.follow else None
    ended_fd = _open_end(state)
    with Follower(path) as follower:
        content = follower.read()
        _print(_past(path, content, arguments))
        while ended_fd >= 0:
            follower.wait(ended_fd)
            over = bool(select.select([ended_fd], [], [], 0)[0])
            _print(follower.read())
            if over:
                os.close(ended_fd)
                ended_fd = _open_end(_left_of(state))
    return 0


def _name(word: str, path_of: Callable[[str], str]) -> str:
    """The container that is meant: one with a log, which may have ended, or the one of a haco file that exists."""
    try:
        if os.path.exists(path_of(container_name(word))):
            return word
    except Refused:
        pass
    try:
        known = [state.name for state in find(word)]
    except ContainerError:
        known = []
    found = [name for name in known if os.path.exists(path_of(name))]
    if len(found) > 1:
        raise ConfigError(Problem(f'"{word}" has several containers', hint=f"name one: {', '.join(sorted(found))}"))
    if not found:
        why = "it does not run in the background, or does not run yet" if known else ""
        raise ContainerError(f'cannot find a log of "{word}"', why=why, hint=f"{log_dir()} has {_logged()}")
    return found[0]


def _logged() -> str:
    """In words, which containers have a log."""
    files = sorted(name.removesuffix(".log") for name in _files(log_dir()) if name.endswith(".log"))
    names = [name for name in files if not name.endswith(".supervisor")]
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return f"those of {', '.join(names[:_NAMES_SHOWN])}{more}" if names else "none"


def _files(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _left_of(state: State | None) -> State | None:
    """The container's record after a process of it has ended: an orphan lives on, maybe under another supervisor."""
    now = read_state(state.name) if state else None
    return now if now and state and now.created_at == state.created_at else None


def _print(content: bytes) -> None:
    write_all(1, content)


def _open_end(state: State | None) -> int:
    """Readable once the container may be gone: a pidfd of its supervisor, or of an orphan's first process."""
    for process in (state.supervisor, state.init) if state else ():
        try:
            fd = os.pidfd_open(process.pid)
        except (ProcessLookupError, ValueError, OSError):
            continue
        if is_alive(process):
            return fd
        os.close(fd)
    return -1


def _past(path: str, content: bytes, arguments: SimpleNamespace) -> bytes:
    lines = [*_lines(_read(f"{path}.1"), f"{path}{TIMES}.1", arguments), *_lines(content, f"{path}{TIMES}", arguments)]
    if arguments.lines is not None:
        lines = lines[max(0, len(lines) - arguments.lines) :]
    return b"".join(lines)


def _lines(content: bytes, times_path: str, arguments: SimpleNamespace) -> list[bytes]:
    lines = content.splitlines(keepends=True)
    if not arguments.timestamps or arguments.supervisor:
        return lines
    times = [tuple(map(float, line.split())) for line in _read(times_path).splitlines()]
    stamped, offset, at = [], 0, 0
    for line in lines:
        while at + 1 < len(times) and times[at + 1][0] <= offset:
            at += 1
        stamped.append((_moment(times[at][1]) if times else b"") + line)
        offset += len(line)
    return stamped


def _moment(seconds: float) -> bytes:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 10) % 10}Z ".encode()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
