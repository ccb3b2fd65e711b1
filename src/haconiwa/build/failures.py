"""What errors of a build say beside the failure itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from haconiwa.errors import BuildError, HaconiwaError, Where, describe_errno, errno_hint


@contextmanager
def subject_of(name: str, path: str = "", where: Where | None = None) -> Iterator[None]:
    """Add the container and the line of the haco file to errors that come from inside.

    Args:
        name: The container.
        path: Where an error of the kernel's is said to have happened, when it names no file.
        where: The line that asked for what is done.

    Raises:
        BuildError: In place of an OSError.
    """
    try:
        yield
    except HaconiwaError as error:
        error.subject = error.subject or name
        error.where = error.where or where
        raise
    except OSError as error:
        what = f'cannot make "{error.filename or path}"'
        why = describe_errno(error.errno) if error.errno else str(error)
        raise BuildError(what, why=why, hint=errno_hint(error.errno or 0), subject=name, where=where) from error
