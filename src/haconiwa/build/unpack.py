"""Unpacking archives. They may be hostile; everything that unpacks one does it here.

The machine's own programs work in a sandbox: a root that consists of the host's /usr, read-only, and the directory to
fill; no device, no network, and no capability that they do not need. Whatever an archive holds, there is nothing else
that it could write to. What comes out of the decompressor is counted on its way to tar.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from haconiwa.build.sandbox import enter_sandbox
from haconiwa.build.whiteouts import LIST_ARGUMENTS, LISTING_MAX, make_room
from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.pipeline import PIPE_SIZE, make_pipe, spawn, wait
from haconiwa.host.programs import describe_status, program_environment, run_checked
from haconiwa.host.sizes import show_size
from haconiwa.host.subids import has_one_id
from haconiwa.host.tools import find_program
from haconiwa.spec.record import Record

DEFAULT_TIME_S = 3600

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_CAPABILITIES = ("chown", "dac_override", "fowner", "fsetid", "setfcap")
_INSIDE = "/unpack"
_SOME_FAILED = 2  # tar's status when it went on to the end in spite of errors
_LEFT_OUT = re.compile(r"(.*): Cannot mknod: Operation not permitted")
_HARMLESS = re.compile(
    r"Removing leading `.*/' from (?:member names|hard link targets)"
    r"|setxattrat: Cannot set '[^']*' extended attribute for file '.*': [^:]*",  # what the file system does not keep
)
_AT_THE_END = "Exiting with failure status due to previous errors"
_LONGEST = 4096  # in characters; a longer line may be the beginning of one, and end wherever an archive has it end


class Archive(Record):
    """An archive to unpack.

    Attributes:
        fd: A regular file.
        name: What it is called in messages.
        max_size: How many bytes may come out of it; what is free on the disk when None.
        max_time_s: How long that may take.
        allow_devices: Make its device nodes too.
        options: Further options of tar.
        whiteouts: It is a layer of an image: names that begin with ``.wh.`` stand for what is to be removed.
    """

    fd: int
    name: str
    max_size: int | None = None
    max_time_s: float = DEFAULT_TIME_S
    allow_devices: bool = False
    options: tuple[str, ...] = ()
    whiteouts: bool = False


def open_archive(path: str) -> int:
    """Open an archive for `Archive.fd`.

    Raises:
        BuildError: It is missing, or no regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(f'cannot open "{path}"', why=describe_errno(error.errno or 0)) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BuildError(f'cannot unpack "{path}"', why="it is no regular file")
    return fd


def unpack(archive: Archive, directory: str, on_line: Callable[[str], object]) -> None:
    """Unpack an archive into a directory.

    Args:
        archive: What to unpack. Owners are taken by number; setuid bits, capabilities, access lists and ``user.*``
            attributes are kept; device nodes are left out unless they are allowed.
        directory: Absolute host path.
        on_line: Called with each line that tar has to say.

    Raises:
        BuildError: It is no archive, holds something that cannot be unpacked, or more than it may.
        HostError: A program is missing.
    """
    worker = _Worker(archive, directory)
    outcome = Outcome(on_line)
    try:
        run_checked(worker.work, outcome.line, argv=worker.tar, hint="", stdin_fd=archive.fd)
    except BuildError as error:
        if error.status == _SOME_FAILED and not outcome.refused:
            return
        if error.status is not None:
            error.what, error.why = f'cannot unpack "{archive.name}"', outcome.refused or error.why
        raise


def decompressor(beginning: bytes) -> str:
    """The program for a file that begins like this; empty for one that is not compressed."""
    return next((program for magic, program in _MAGIC if beginning.startswith(magic)), "")


def arguments(options: Sequence[str] = ()) -> list[str]:
    """The command line of tar after the program: it reads its standard input and fills the working directory."""
    owner = "--no-same-owner" if has_one_id() else "--same-owner"
    ownership = ["--numeric-owner", owner, "--same-permissions"]
    attributes = ["--acls", "--xattrs", "--xattrs-include=security.capability", "--xattrs-include=user.*"]
    harmless = ["--warning=no-timestamp", "--warning=no-unknown-keyword"]
    return ["--extract", *ownership, *attributes, *harmless, *options, "--file=-"]


class _Worker:
    """What happens in the helper; programs are looked up before.

    Attributes:
        tar: The command that unpacks.
    """

    def __init__(self, archive: Archive, directory: str) -> None:
        self._archive = archive
        self._directory = directory
        program = decompressor(os.pread(archive.fd, 8, 0))
        self._decompressor = [find_program(program), "-dc"] if program else []
        layer = ("--exclude=.wh.*",) if archive.whiteouts else ()
        self.tar = (find_program("tar"), *arguments((*layer, *archive.options)))
        self._environment = program_environment()

    def work(self) -> int:
        """Unpack standard input. Runs in: the helper."""
        free = os.statvfs(self._directory)
        limit = free.f_bavail * free.f_frsize if self._archive.max_size is None else self._archive.max_size
        capabilities = (*_CAPABILITIES, "mknod") if self._archive.allow_devices else _CAPABILITIES
        enter_sandbox(self._directory, _INSIDE, capabilities)
        os.chdir(_INSIDE)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, self._too_late)
        signal.setitimer(signal.ITIMER_REAL, self._archive.max_time_s)
        if self._archive.whiteouts:
            self._make_room(limit)
        return self._stream(self.tar, 1, limit)

    def _make_room(self, limit: int) -> None:
        """Remove what the layer replaces: that must not be mixed with what it brings."""
        listing_fd = os.memfd_create("listing")
        if status := self._stream((self.tar[0], *LIST_ARGUMENTS), listing_fd, limit):
            raise BuildError(f'cannot read "{self._archive.name}"', why=describe_status(status))
        if os.fstat(listing_fd).st_size > LISTING_MAX:
            raise BuildError(f'cannot read "{self._archive.name}"', why="it has too many members")
        os.lseek(listing_fd, 0, os.SEEK_SET)
        with open(listing_fd, "rb") as listing:
            make_room(listing)

    def _stream(self, argv: Sequence[str], output_fd: int, limit: int) -> int:
        """Hand the archive, decompressed, to a program; its exit status."""
        os.lseek(0, 0, os.SEEK_SET)
        source_fd, unpacking_pid = self._decompressed() if self._decompressor else (os.dup(0), 0)
        sink_end, sink_fd = make_pipe()
        pid = spawn(argv, self._environment, sink_end, output_fd)
        os.close(sink_end)
        with suppress(BrokenPipeError):  # it has seen the archive's end
            self._pump(source_fd, sink_fd, limit)
        os.close(sink_fd)
        os.close(source_fd)
        status = wait(pid)
        broken = wait(unpacking_pid) if unpacking_pid else 0
        return status if broken in (0, -signal.SIGPIPE) else 1

    def _decompressed(self) -> tuple[int, int]:
        source_fd, source_end = make_pipe()
        pid = spawn(self._decompressor, self._environment, 0, source_end)
        os.close(source_end)
        return source_fd, pid

    def _pump(self, source_fd: int, sink_fd: int, limit: int) -> None:
        left = limit
        while count := os.splice(source_fd, sink_fd, PIPE_SIZE):
            left -= count
            if left < 0:
                self._too_large(limit)

    def _too_large(self, limit: int) -> NoReturn:
        """Leave the helper; the programs end with it."""
        what, size = f'cannot unpack "{self._archive.name}"', show_size(limit)
        if self._archive.max_size is None:
            why = f"it holds more than the {size} that are free: {describe_errno(errno.ENOSPC)}"
            raise BuildError(what, why=why)
        raise BuildError(what, why=f"it holds more than {size}", hint="max_size sets the limit")

    def _too_late(self, _number: int, _frame: object) -> NoReturn:
        why = f"it takes more than {self._archive.max_time_s:g} s"
        raise BuildError(f'cannot unpack "{self._archive.name}"', why=why, hint="timeout_sec sets the limit")


class Outcome:
    """Tells tar's complaints about device nodes, which it may not make, from those that matter.

    Attributes:
        refused: The first complaint about something else; it names the member.
    """

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self._on_line = on_line
        self.refused = ""

    def line(self, text: str) -> None:
        """Take a line of a program's output. Tar escapes names, so a name cannot forge a line, but be most of one."""
        program, _, message = text.partition(": ")
        if os.path.basename(program) != "tar":
            self._on_line(text)
        elif message != _AT_THE_END:  # the errors themselves have been told
            self._on_line(self._judged(message, whole=len(text) <= _LONGEST))

    def _judged(self, message: str, *, whole: bool) -> str:
        """What to tell of a complaint of tar's."""
        if whole and (left_out := _LEFT_OUT.fullmatch(message)):
            return f'left out the device node "{left_out[1]}"'
        if not (whole and _HARMLESS.fullmatch(message)):
            self.refused = self.refused or message
        return message
