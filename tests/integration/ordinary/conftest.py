"""Users who are there for one test, and a haco file of theirs."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.ordinary import User

_numbers = itertools.count(1)
_FIRST_UID = 52_000
_FIRST_ID = 3_000_000_000
_IDS = 65536

NewUser = Callable[..., User]


@pytest.fixture
def new_user(session_dir: Path) -> Iterator[NewUser]:
    """Makes users: ``new_user()``, ``new_user(ids=0)`` without subordinate ids. Nothing of theirs may stay behind."""
    made: list[User] = []

    def make(ids: int = _IDS, groups: tuple[int, ...] = ()) -> User:
        number = next(_numbers)
        first_id = _FIRST_ID + (os.getpid() * 100 + number) % 18_000 * _IDS if ids else 0
        made.append(
            User(session_dir / f"user-{number}", _FIRST_UID + number, first_id=first_id, ids=ids, groups=groups)
        )
        return made[-1]

    yield make
    left = []
    for user in made:
        left += leftovers.end_all(user.processes())
        left += user.runtime_files()
        shutil.rmtree(user.base)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture
def user(new_user: NewUser) -> User:
    """One ordinary user with subordinate ids."""
    return new_user()
