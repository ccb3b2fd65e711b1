"""Folders for what is not finished yet, and who may remove them when."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from haconiwa.build.kept import roots_dir, taken
from haconiwa.build.unfinished import NEW, clear_abandoned, unfinished


@pytest.fixture
def parent(tmp_path: Path) -> str:
    return str(tmp_path / "parent")


def is_locked(path: str) -> bool:
    """Whether somebody else would have to wait for a folder's lock."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_nobody_clears_away_a_folder_between_its_making_and_its_lock(
    parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[bool, bool]] = []
    mkdir = os.mkdir

    def make_and_look(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        if NEW in path:
            made.append((is_locked(path), is_locked(parent)))

    monkeypatch.setattr(os, "mkdir", make_and_look)
    with unfinished(parent, "one") as folder:
        assert made == [(False, True)]
        assert is_locked(folder)
        assert not is_locked(parent), "others would wait for all of its work"
        clear_abandoned(parent)
        with unfinished(parent, "two"):
            assert os.path.isdir(folder)
    assert os.listdir(parent) == []


def test_who_clears_away_has_the_lock(parent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(os.path.join(parent, f"{NEW}left-1", "more"))
    looked: list[bool] = []
    listdir = os.listdir

    def look_and_list(path: str) -> list[str]:
        if path == parent:
            looked.append(is_locked(parent))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", look_and_list)
    clear_abandoned(parent)
    assert looked == [True]
    assert listdir(parent) == []
    assert not is_locked(parent)


def test_a_folder_that_is_missing_has_nothing_to_clear_away(parent: str) -> None:
    clear_abandoned(parent)
    assert not os.path.exists(parent)


def test_a_container_without_a_key_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_CACHE_DIR", str(tmp_path))
    os.mkdir(roots_dir())
    with taken("") as kept:
        assert kept is None
        assert not is_locked(roots_dir())
