"""Fetching an archive by HTTP, into a file whose content is known when its SHA-256 was given."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from haconiwa.build.report import Report
from haconiwa.errors import BuildError, HaconiwaError, describe_errno
from haconiwa.host.files import sha256_of
from haconiwa.host.helper import run_helper
from haconiwa.host.paths import cache_dir
from haconiwa.host.sizes import show_size

_PREFIX = "bootstrap.tarball"
_CHUNK = 1 << 18
_SILENCE_S = 60
_REPORT_S = 2.0


def downloads_dir() -> str:
    """Where files are kept that were fetched and whose content is known, each under its SHA-256."""
    return os.path.join(cache_dir(), "downloads")


def download(url: str, sha256: str, scratch: str, report: Report) -> str:
    """Fetch a file; one whose content is known is kept for the next time.

    Args:
        url: http or https; without a SHA-256, https only, also where it redirects to.
        sha256: Of the content, in hexadecimal; empty when it is not known.
        scratch: Folder for a file that is still incomplete or not kept, on the host.
        report: Is told how far it is.

    Returns:
        Host path of the file.

    Raises:
        BuildError: It cannot be fetched, or is something else.
    """
    kept = os.path.join(downloads_dir(), sha256)
    if sha256 and _is_whole(kept, sha256):
        os.utime(kept)  # its age is that of its last use
        report.line(_PREFIX, f"using {kept}")
        return kept
    target = os.path.join(scratch, "download")
    expected_fd = os.memfd_create("expected", os.MFD_CLOEXEC)
    try:
        with report.measured(lambda: (os.path.getsize(target), int(os.pread(expected_fd, 20, 0) or 0))):
            status = run_helper(lambda: _fetch(url, sha256, target, expected_fd), partial(report.line, _PREFIX))
    finally:
        os.close(expected_fd)
    if status:
        raise BuildError(f'cannot fetch "{url}"', why=f"the download ended with status {status}")
    if not sha256:
        return target
    return _keep(target, kept)


def _is_whole(path: str, sha256: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return sha256_of(fd) == sha256
    finally:
        os.close(fd)


def _keep(path: str, kept: str) -> str:
    """Move a fetched file to the cache, where it is on the same file system or there is room for it."""
    os.makedirs(os.path.dirname(kept), 0o700, exist_ok=True)
    with suppress(OSError):
        os.rename(path, kept)
        return kept
    beside = f"{kept}.new"
    try:
        shutil.copyfile(path, beside)
        os.rename(beside, kept)
    except OSError:
        return path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)
    return kept


def _fetch(url: str, sha256: str, target: str, expected_fd: int) -> int:
    """Runs in: a helper, which says in `expected_fd` how much it will be."""
    opener = urllib.request.build_opener(_Redirects(any_scheme=bool(sha256)))
    try:
        with opener.open(url, timeout=_SILENCE_S) as answer, open(target, "xb") as file:
            os.pwrite(expected_fd, str(answer.length or 0).encode(), 0)
            digest, size = _copy(answer, file)
    except HaconiwaError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BuildError(f'cannot fetch "{url}"', why=_reason(error)) from None
    if sha256 and digest != sha256:
        raise BuildError(f'"{url}" is not what was expected', why=f"its sha256 is {digest}")
    sys.stdout.write(f"{show_size(size)}, sha256 {digest}\n")
    return 0


def _copy(answer: http.client.HTTPResponse, file: BinaryIO) -> tuple[str, int]:
    """Write what comes, saying how much every now and then; its SHA-256 and size.

    Raises:
        BuildError: It ended early.
    """
    digest, size, told = hashlib.sha256(), 0, time.monotonic()
    expected = answer.length
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
        if time.monotonic() - told > _REPORT_S:
            told = time.monotonic()
            sys.stdout.write(show_size(size) + (f" of {show_size(expected)}\n" if expected else "\n"))
    if expected is not None and size < expected:
        raise http.client.IncompleteRead(b"", expected - size)
    return digest.hexdigest(), size


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return describe_errno(cause.errno)
    return str(cause)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; what is not checked afterwards must come by https all the way."""

    def __init__(self, *, any_scheme: bool) -> None:
        self._schemes = ("http", "https") if any_scheme else ("https",)

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """As the one of the standard library, for allowed schemes only."""
        if newurl.partition(":")[0].lower() not in self._schemes:
            raise BuildError(f'cannot fetch "{req.full_url}"', why=f'it leads to "{newurl}"')
        return super().redirect_request(req, fp, code, msg, headers, newurl)
