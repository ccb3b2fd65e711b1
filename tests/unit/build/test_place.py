"""The lock of a root file system, when its file does not stay where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.build.place import Place, locked
from haconiwa.errors import BuildError
from haconiwa.kernel.locks import try_lock


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "web"))


def test_a_lock_file_that_is_gone_hides_neither_success_nor_the_error(place: Place) -> None:
    with locked(place):
        os.unlink(place.lock)

    def fail() -> None:
        os.unlink(place.lock)
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"), locked(place):
        fail()


def test_a_lock_file_of_somebody_elses_stays(place: Place) -> None:
    with locked(place):
        os.unlink(place.lock)
        Path(place.lock).touch()
    assert os.path.exists(place.lock)


def test_a_lock_whose_file_was_removed_meanwhile_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was about to wait for it has opened the file that its last holder removes."""
    removed: list[str] = []

    def remove_and_lock(fd: int, *, shared: bool = False) -> bool:
        if not removed:
            os.unlink(place.lock)
            removed.append(place.lock)
        return try_lock(fd, shared=shared)

    monkeypatch.setattr("haconiwa.build.place.try_lock", remove_and_lock)
    with locked(place):
        assert removed == [place.lock]
        with pytest.raises(BuildError, match="another haconiwa is building"), locked(place):
            pass
    assert not os.path.exists(place.lock)
