"""Writing a root file system to an archive that `tarball`, `oci` and other tools read back.

The same root gives the same bytes: members are sorted, owners are numbers, and nothing of the moment gets in. Times
later than SOURCE_DATE_EPOCH, where it is set, become that.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from haconiwa.build import image_layout
from haconiwa.build.beside import Beside, beside
from haconiwa.build.copies import hide_mounts
from haconiwa.build.failures import subject_of
from haconiwa.build.place import Place, locked
from haconiwa.build.report import Report
from haconiwa.errors import BuildError, ConfigError, HostError, Problem
from haconiwa.host.layers import lower_of
from haconiwa.host.paths import absolute
from haconiwa.host.pipeline import make_pipe, pump, run_pipeline, spawn, wait
from haconiwa.host.programs import execute_program, program_environment, run_checked
from haconiwa.host.sizes import show_size
from haconiwa.host.tools import find_program
from haconiwa.kernel.mount import MS, mount
from haconiwa.spec.model import ContainerSpec

TYPES = ("none", "gzip", "bzip2", "xz", "zstd", "squashfs", "oci")
"""What an archive can be; ``none`` is a plain tar, ``oci`` a directory with an image in it."""

EXTENSIONS = {
    ".tar": "none", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bzip2", ".tar.xz": "xz", ".tar.zst": "zstd",
    ".squashfs": "squashfs", ".sqfs": "squashfs",
}  # fmt: skip

Commands = Sequence[Sequence[str]]
"""Programs with their arguments, each reading what the one before writes."""

_COMPRESSORS = {
    "gzip": (("pigz", "-nm"), ("gzip", "-n")),
    "bzip2": (("lbzip2",), ("bzip2",)),
    "xz": (("xz", "-T0"),),
    "zstd": (("zstd", "-qT0"),),
}
"""The first that is installed is used; those that use every processor come first."""

_BLOCKS = "--blocking-factor=128"  # 64 KiB at a time; with the usual 10 KiB tar needs half as long again
_LONGEST_ANSWER = 64
_CHANGED = 1  # tar's status when a file changed while it was read
_DIGITS = re.compile(r"[0-9]{1,11}")


def archive_type(path: str) -> str:
    """What an archive at this path should be, by its extension; empty when that says nothing."""
    return next((kind for extension, kind in EXTENSIONS.items() if path.lower().endswith(extension)), "")


def source_date() -> int | None:
    """SOURCE_DATE_EPOCH: seconds since 1970 that no time in an archive is later than.

    Raises:
        ConfigError: It is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not _DIGITS.fullmatch(text):
        raise ConfigError(Problem(f'SOURCE_DATE_EPOCH is "{text}", which is no number of seconds'))
    return int(text)


def archive(
    spec: ContainerSpec,
    path: str,
    kind: str,
    report: Report,
    *,
    options: Sequence[str] = (),
    verbose: bool = False,
    dry_run: bool = False,
) -> int:
    """Write the root file system of a container to an archive.

    Args:
        spec: The container; nothing that is mounted in its root gets in.
        path: Host path of the archive. It is written beside and renamed when it is complete.
        kind: One of `TYPES`.
        report: Is told what happens.
        options: Further options of tar, or of mksquashfs.
        verbose: Report each member.
        dry_run: Only find out the size.

    Returns:
        The size in bytes.

    Raises:
        ConfigError: The container has no root file system.
        BuildError: There is none, something else is at the path, or the root changed meanwhile.
        HostError: A program is missing.
    """
    if spec.rootfs is None:
        raise ConfigError(Problem(f"{spec.name}: chroot_to is not set, there is nothing to archive"))
    place = Place(spec.rootfs.path, spec.rootfs.trusted_uids)
    if not os.path.isdir(place.root):
        hint = "run haconiwa create with the haco file first"
        raise BuildError(f'there is no root file system at "{place.root}"', subject=spec.name, hint=hint)
    path = absolute(path)
    _refuse_path(path, place, kind)
    writer = _Writer(lower_of(place.root), options, verbose=verbose, report=report)
    with subject_of(spec.name, path), locked(place, shared=True):
        if dry_run and kind != "squashfs":
            return writer.measure("gzip" if kind == "oci" else kind)
        with beside(path, place.trusted_uids) as folder:
            writer.write(spec, folder, kind)
            size = _size(folder.path)
            if not dry_run:
                folder.settle()
        return size


def _refuse_path(path: str, place: Place, kind: str) -> None:
    if os.path.realpath(path).startswith(place.root + "/"):
        raise BuildError(f'cannot write "{path}"', why="it lies in the root file system itself")
    if os.path.isdir(path) and (kind != "oci" or os.listdir(path)):
        why = "it is a directory that is not empty" if kind == "oci" else "it is a directory"
        raise BuildError(f'cannot write "{path}"', why=why)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BuildError(f'cannot write "{path}"', why="it is no regular file")


def _size(path: str) -> int:
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


class _Writer:
    """Writes one root in any form.

    Args:
        root: Absolute host path.
        options: The user's, for tar or mksquashfs.
        verbose: Report each member.
        report: Who is told.
    """

    def __init__(self, root: str, options: Sequence[str], *, verbose: bool, report: Report) -> None:
        self._root = root
        self._options = options
        self._verbose = verbose
        self._report = report

    def write(self, spec: ContainerSpec, folder: Beside, kind: str) -> None:
        """Make the archive."""
        if kind == "squashfs":
            self._write_squashfs(folder)
        elif kind == "oci":
            image_layout.write(spec, folder.path, self._write_layer, source_date())
        else:
            self._write_tar(folder.path, kind)

    def _write_squashfs(self, folder: Beside) -> None:
        argv, environment = self._squashfs(folder.NAME), program_environment()

        def work() -> int:
            hide_mounts(self._root)
            _follow_no_link(self._root)
            os.fchdir(folder.fd)  # the path by its descriptor means something else in a helper
            execute_program(argv, environment, cwd=".")

        with self._report.measured(lambda: (os.path.getsize(folder.path), 0)):
            run_checked(work, self._line, argv=argv, hint="")

    def measure(self, kind: str) -> int:
        """How long a tar would be."""
        with _answer() as answer_fd:

            def work(commands: Commands, environment: Mapping[str, str]) -> int:
                sizes: list[int] = []
                source_fd, output_fd = make_pipe()
                count = partial(pump, source_fd, -1, lambda part: sizes.append(len(part)))
                status = run_pipeline(commands, environment, output_fd, count)
                os.pwrite(answer_fd, str(sum(sizes)).encode(), 0)
                return status

            self._run(kind, work)
            return int(os.pread(answer_fd, _LONGEST_ANSWER, 0))

    def _write_tar(self, path: str, kind: str) -> None:
        with _new_file(path) as fd, self._report.measured(partial(_length, fd)):
            self._run(kind, lambda commands, environment: run_pipeline(commands, environment, fd))

    def _write_layer(self, path: str) -> str:
        """Write a tar with gzip; the SHA-256 of the tar, which is told as it passes."""
        with _answer() as answer_fd, _new_file(path) as fd, self._report.measured(partial(_length, fd)):

            def work(commands: Commands, environment: Mapping[str, str]) -> int:
                tar, compress = commands
                digest = hashlib.sha256()
                (source_fd, source_end), (middle_fd, middle_end) = make_pipe(), make_pipe()
                compressing = spawn(compress, environment, middle_fd, fd)
                os.close(middle_fd)
                through = partial(pump, source_fd, middle_end, digest.update)
                status = run_pipeline([tar], environment, source_end, through)
                os.pwrite(answer_fd, digest.hexdigest().encode(), 0)
                return status or wait(compressing) & 0xFF

            self._run("gzip", work)
            return os.pread(answer_fd, _LONGEST_ANSWER, 0).decode()

    def _run(self, kind: str, run: Callable[[Commands, Mapping[str, str]], int]) -> None:
        """Let `run` run tar and a compressor, in a helper."""
        argv = self._tar()
        commands = [argv] if kind == "none" else [argv, compressor(kind)]
        environment = program_environment()

        def work() -> int:
            hide_mounts(self._root)
            _forget_names()
            return run(commands, environment)

        try:
            run_checked(work, self._line, argv=argv, hint="")
        except BuildError as error:
            if error.status == _CHANGED:
                error.hint = "end what is at work in the root file system first: haconiwa stop"
            raise

    def _tar(self) -> list[str]:
        names = ["--sort=name", "--numeric-owner", "--format=posix", "--sparse", _BLOCKS]
        names.append("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
        attributes = ["--acls", "--xattrs", "--xattrs-include=security.capability", "--xattrs-include=user.*"]
        date = source_date()
        times = [] if date is None else [f"--mtime=@{date}", "--clamp-mtime"]
        verbose = ["--verbose"] if self._verbose else []
        line = ["--create", *names, *attributes, *times, *verbose, *self._options]
        return [find_program("tar"), *line, "--file=-", f"--directory={self._root}", "."]

    def _squashfs(self, path: str) -> list[str]:
        # without a date of its own the file system would carry the moment
        line = [find_program("mksquashfs"), self._root, path, "-no-progress", "-noappend", "-exit-on-error"]
        return [*line, "-mkfs-time", str(source_date() or 0), *(["-info"] if self._verbose else []), *self._options]

    def _line(self, text: str) -> None:
        self._report.line("archive", text)


def _follow_no_link(root: str) -> None:
    """Let no link in a root be followed any more: mksquashfs opens by path what a container may exchange for a link.

    Runs in: a helper with a mount namespace of its own, where the root is a mount.
    """
    kept = os.statvfs(root).f_flag & (MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC)  # the bits of both are the same
    mount(None, root, None, MS.REMOUNT | MS.BIND | MS.NOSYMFOLLOW | kept)  # mount_setattr(2) can since Linux 5.14


def _length(fd: int) -> tuple[int, int]:
    return os.fstat(fd).st_size, 0


@contextmanager
def _new_file(path: str) -> Iterator[int]:
    """A file that is on the disk afterwards."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _answer() -> Iterator[int]:
    """Where a helper leaves what it has found out."""
    fd = os.memfd_create("answer", os.MFD_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _forget_names() -> None:
    """Let access lists, which tar writes as text, have numbers: it knows no user of this machine any more.

    Runs in: a helper with a mount namespace of its own.
    """
    for path in ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf"):
        if os.path.exists(path):
            mount("/dev/null", path, None, MS.BIND)


def compressor(kind: str) -> list[str]:
    """The command that compresses; it uses every processor where there is a program that can.

    Raises:
        HostError: None is installed.
    """
    *better, (name, *options) = _COMPRESSORS[kind]
    for parallel, *its_options in better:
        with suppress(HostError):
            return [find_program(parallel), *its_options]
    return [find_program(name), *options]


def describe_size(size: int) -> str:
    """``45 MiB (47185920 bytes)``."""
    return f"{show_size(size)} ({size} bytes)"
