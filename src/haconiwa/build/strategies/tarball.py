"""``tarball``: an archive is the root file system. See `haconiwa.build.unpack` for what it may do."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

from haconiwa.build.download import download
from haconiwa.build.job import Job
from haconiwa.build.unpack import DEFAULT_TIME_S, Archive, open_archive, unpack
from haconiwa.errors import BuildError, printable
from haconiwa.host.files import sha256_of

LABEL = "tar"

_REMOTE = re.compile(r"https?://", re.IGNORECASE)


def bootstrap(job: Job) -> None:
    """Fetch the archive where it is elsewhere, and unpack it."""
    location = job.text("archive_path")
    wanted = job.text("sha256", "")
    if _REMOTE.match(location):
        fd = open_archive(download(location, wanted, job.scratch, job.report))
    else:
        fd = open_archive(unquote(urlsplit(location).path) if location.startswith("file:") else location)
        _check(fd, location, wanted)
    try:
        unpack_measured(job, archive_of(job, fd, location))
    finally:
        os.close(fd)


def unpack_measured(job: Job, archive: Archive) -> None:
    """Unpack for a job, which can tell how far that is: the programs that read share the descriptor's offset."""
    size = os.fstat(archive.fd).st_size
    with job.report.measured(lambda: (os.lseek(archive.fd, 0, os.SEEK_CUR), size)):
        unpack(archive, job.root, job.line)


def archive_of(job: Job, fd: int, name: str) -> Archive:
    """An open archive with the limits and options of a job."""
    options = job.bootstrap.options
    return Archive(
        fd=fd,
        name=name,
        max_size=options.get("max_size"),
        max_time_s=options.get("timeout_sec") or DEFAULT_TIME_S,
        allow_devices=bool(options.get("allow_devices")),
        options=job.words("tar_options"),
    )


def _check(fd: int, location: str, wanted: str) -> None:
    if wanted and (found := sha256_of(fd)) != wanted:
        os.close(fd)
        raise BuildError(f'"{printable(location)}" is not what was expected', why=f"its sha256 is {found}")
