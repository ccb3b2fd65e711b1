"""What errors of the kernel's are in a build."""

from __future__ import annotations

import errno
import os

import pytest

from haconiwa.build.failures import subject_of
from haconiwa.errors import BuildError


@pytest.mark.parametrize(
    ("number", "words", "hint"),
    [
        (errno.EMFILE, "Too many open files (EMFILE)", "raise the limit of open files: ulimit -n"),
        (errno.ENOSPC, "No space left on device (ENOSPC)", ""),
    ],
)
def test_an_error_of_the_kernel_names_the_container_and_the_file(number: int, words: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught, subject_of("web", "/srv/web"):
        raise OSError(number, os.strerror(number), "/srv/web/README")
    assert str(caught.value) == f'web: cannot make "/srv/web/README": {words}'
    assert caught.value.hint == hint
