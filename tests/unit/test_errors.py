"""What is told of exceptions that nobody has foreseen."""

from __future__ import annotations

import errno

import pytest

from haconiwa.errors import HostError, InternalError, unexpected


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, "x"), "web: cannot go on: Too many open files (EMFILE)"),
        (OSError(errno.ENOSPC, "x", "/run/a"), 'web: cannot go on: "/run/a": No space left on device (ENOSPC)'),
        (OSError(errno.EROFS, "x", b"/run/\xff"), 'web: cannot go on: "/run/\\udcff": Read-only file system (EROFS)'),
        (OSError(errno.EIO, "x", 7), "web: cannot go on: Input/output error (EIO)"),
        (MemoryError(), "web: cannot go on: Cannot allocate memory (ENOMEM)"),
    ],
)
def test_a_machine_that_has_nothing_left_is_no_bug(error: Exception, told: str) -> None:
    failure = unexpected("cannot go on", error, "web")
    assert isinstance(failure, HostError)
    assert str(failure) == told
    assert failure.hint == ("raise the limit of open files: ulimit -n" if "EMFILE" in told else "")


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "x"), OSError("no number"), KeyError("web")])
def test_everything_else_is(error: Exception) -> None:
    failure = unexpected("cannot go on", error)
    assert isinstance(failure, InternalError)
    assert str(failure).startswith("internal error: ")
    assert "report it" in failure.hint
