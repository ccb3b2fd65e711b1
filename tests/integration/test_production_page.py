"""docs/production.md is read as the README is: see tests/support/reader.py."""

from __future__ import annotations

import pytest

from tests.conftest import RunDirs
from tests.support.program import Program
from tests.support.reader import Reader

NOT_RUN = frozenset({"it changes the services of the machine"})
"""tests/integration/test_under_systemd.py does it, where that is a machine of its own."""


@pytest.mark.requires("root")
def test_every_block_does_what_it_shows(run_dirs: RunDirs, haconiwa: Program) -> None:
    Reader("docs/production.md", run_dirs.base, (haconiwa,), NOT_RUN).read()
