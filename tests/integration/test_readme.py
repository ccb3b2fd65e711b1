"""Every block of the README is run, in its order, as a reader would: see tests/support/reader.py."""

from __future__ import annotations

import pytest

from tests.conftest import RunDirs
from tests.support.program import Program
from tests.support.reader import Reader

NOT_RUN = frozenset({"it asks the package index for the build tool"})


@pytest.mark.requires("root", "busybox", "ps")
def test_every_block_does_what_it_shows(run_dirs: RunDirs, haconiwa: Program, hacopy: Program) -> None:
    Reader("README.md", run_dirs.base, (haconiwa, hacopy), NOT_RUN).read()
