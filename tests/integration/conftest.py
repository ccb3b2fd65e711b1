"""Fixtures of tests that run whole containers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.integration.box import Box, Watched
from tests.support.program import Program

_numbers = itertools.count(1)


@pytest.fixture
def box(haconiwa: Program, run_dirs: RunDirs, busybox_root: Path) -> Iterator[Box]:
    """A container over a busybox root of its own. Whatever end it had, nothing of it may be left after the test."""
    one = Box(haconiwa, run_dirs.base, busybox_root, f"box-{os.getpid()}-{next(_numbers)}")
    one.write()
    yield one
    haconiwa("stop", "-T", "0", one.name, expect=None)
    one.nothing_left()


@pytest.fixture
def watched() -> Iterator[Callable[[int], Watched]]:
    """Makes pidfds: ``watched(pid).ended()``. Closed after the test."""
    open_ones: list[Watched] = []

    def watch(pid: int) -> Watched:
        open_ones.append(Watched(pid))
        return open_ones[-1]

    yield watch
    for one in open_ones:
        one.close()
