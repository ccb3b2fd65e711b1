"""``tarball``: an archive is the root file system.

The archive may be hostile. The machine's tar unpacks it in a sandbox: a root that consists of the host's /usr,
read-only, and the directory to fill; no device, no network, and no capability that tar does not need. Whatever an
archive holds, there is nothing else that it could write to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from haconiwa.build.job import Job
from haconiwa.build.sandbox import enter_sandbox
from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.programs import execute_program, find_program, program_environment, run_checked

LABEL = "tar"

_MAGIC = (
    (b"\x1f\x8b", "gzip", "--gzip"),
    (b"BZh", "bzip2", "--bzip2"),
    (b"\xfd7zXZ\x00", "xz", "--xz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "--zstd"),
)
_CAPABILITIES = ("chown", "dac_override", "fowner", "fsetid", "setfcap")
_INSIDE = "/unpack"
_SOME_FAILED = 2  # tar's status when it went on to the end in spite of errors
_LEFT_OUT = re.compile(r"(.*): Cannot mknod: Operation not permitted")
_HARMLESS = "Removing leading "  # slashes of absolute names
_AT_THE_END = "Exiting with failure status due to previous errors"


def decompressor(beginning: bytes) -> tuple[str, str] | None:
    """The program for an archive that begins like this, and tar's option for it; None for a plain archive."""
    return next(((program, option) for magic, program, option in _MAGIC if beginning.startswith(magic)), None)


def arguments(compression: Sequence[str], options: Sequence[str]) -> list[str]:
    """The command line after the program: the archive is the standard input, the directory the working directory."""
    ownership = ["--numeric-owner", "--same-owner", "--same-permissions"]
    attributes = ["--xattrs", "--xattrs-include=security.capability"]
    harmless = ["--warning=no-timestamp", "--warning=no-unknown-keyword"]
    return ["--extract", *compression, *ownership, *attributes, *harmless, *options, "--file=-"]


def bootstrap(job: Job) -> None:
    """Unpack the archive; device nodes are left out unless ``allow_devices`` is set."""
    archive = job.text("archive_path")
    try:
        archive_fd = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(f'cannot open "{archive}"', why=describe_errno(error.errno or 0)) from None
    try:
        _unpack(job, archive_fd)
    finally:
        os.close(archive_fd)


def _unpack(job: Job, archive_fd: int) -> None:
    compression = decompressor(os.pread(archive_fd, 8, 0))
    if compression:
        find_program(compression[0])
    argv = [find_program("tar"), *arguments(compression[1:] if compression else (), job.words("tar_options"))]
    allow_devices = bool(job.bootstrap.options.get("allow_devices"))
    capabilities = (*_CAPABILITIES, "mknod") if allow_devices else _CAPABILITIES
    environment = program_environment()

    def unpack() -> int:
        enter_sandbox(job.root, _INSIDE, capabilities)
        return execute_program(argv, environment, _INSIDE)

    outcome = _Outcome(job, f"{argv[0]}: ")
    hint = f'the archive is "{job.text("archive_path")}"'
    try:
        run_checked(unpack, outcome.line, argv=argv, hint=hint, stdin_fd=archive_fd)
    except BuildError as error:
        if error.status != _SOME_FAILED or outcome.refused:
            raise


class _Outcome:
    """Tells tar's complaints about device nodes, which it may not make, from those that matter.

    Args:
        job: Is told every line.
        prefix: How tar begins its own messages.

    Attributes:
        refused: Something else than a device node could not be unpacked.
    """

    def __init__(self, job: Job, prefix: str) -> None:
        self._job = job
        self._prefix = prefix
        self.refused = False

    def line(self, text: str) -> None:
        """Take a line of tar's output. It escapes names, so a name cannot forge a line."""
        message = text.removeprefix(self._prefix)
        if left_out := _LEFT_OUT.fullmatch(message):
            message = f'left out the device node "{left_out[1]}"'
        elif message != text and not message.startswith((_HARMLESS, _AT_THE_END)):
            self.refused = True
        if message != _AT_THE_END:  # the errors themselves have been told
            self._job.line(message)
