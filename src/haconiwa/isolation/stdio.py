"""Where a daemon's stdin, stdout and stderr lead."""

from __future__ import annotations

import errno
import os
import stat

from haconiwa.isolation.confined import make_file, open_inside
from haconiwa.isolation.log_steps import LetGoOfOutput, RelayOutput
from haconiwa.isolation.step import CHILD, SUPERVISOR, Site, Step
from haconiwa.spec.model import StdioSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from haconiwa.errors import Where

STREAMS = ("stdin", "stdout", "stderr")
_COMMON = os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO without a reader must not hold up the start


class OpenHostInput(Step):
    """Open a file of the host's for the program's stdin."""

    __slots__ = ("path",)

    def __init__(self, path: str, where: Where | None) -> None:
        super().__init__(SUPERVISOR, where)
        self.path = path

    def describe(self) -> str:
        return f'open "{self.path}" for the program\'s stdin'

    def execute(self, site: Site) -> None:
        _place(site, "stdin", os.open(self.path, os.O_RDONLY | _COMMON))


class OpenInsideStream(Step):
    """Open a file inside the container for one of the program's streams."""

    __slots__ = ("path", "stream")

    def __init__(self, stream: str, path: str, where: Where | None) -> None:
        super().__init__(CHILD, where)
        self.stream = stream
        self.path = path

    def describe(self) -> str:
        return f'open "{self.path}" in the container for the program\'s {self.stream}'

    def execute(self, site: Site) -> None:
        if self.stream == "stdin":
            fd = open_inside(site.root_fd, self.path, os.O_RDONLY | _COMMON)
        else:
            os.close(make_file(site.root_fd, self.path))
            fd = open_inside(site.root_fd, self.path, os.O_WRONLY | os.O_APPEND | _COMMON)
        _place(site, self.stream, fd)


def _place(site: Site, stream: str, fd: int) -> None:
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    os.set_blocking(fd, True)
    fds = list(site.stdio_fds)
    fds[STREAMS.index(stream)] = fd
    site.stdio_fds = (fds[0], fds[1], fds[2])


def plan(streams: Mapping[str, StdioSpec], log_file: str) -> list[Step]:
    """Steps for each stream that leads somewhere of its own; one relay for those that lead to the same file.

    Args:
        streams: Where they lead.
        log_file: The container's own log, which is put aside when it gets too long.
    """
    steps: list[Step] = []
    outputs: dict[str, list[str]] = {}
    for stream, asked in streams.items():
        if asked.host_file is not None and stream == "stdin":
            steps.append(OpenHostInput(asked.host_file, asked.where))
        elif asked.host_file is not None:
            outputs.setdefault(asked.host_file, []).append(stream)
        elif asked.file is not None:
            steps.append(OpenInsideStream(stream, asked.file, asked.where))
    relays = [
        RelayOutput(path, tuple(map(STREAMS.index, names)), streams[names[0]].where, rotates=path == log_file)
        for path, names in outputs.items()
    ]
    return [*steps, *relays, LetGoOfOutput(relays)]


def daemon_streams(asked: Mapping[str, StdioSpec], log_file: str) -> dict[str, StdioSpec]:
    """All three streams of a daemon: what the file asks for, else /dev/null and the log."""
    fallback = {"stdin": "/dev/null", "stdout": log_file, "stderr": log_file}
    return {stream: asked.get(stream) or StdioSpec(host_file=fallback[stream]) for stream in STREAMS}
