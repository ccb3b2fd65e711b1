"""The cache of compiled filters gives back what was put in, and nothing that others could have put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.isolation.seccomp.cache import read_cached, write_cached

KEY = b"what it was made from"
PROGRAMS = ((4, b"12345678" * 3), (12, b"abcdefgh"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache will be."""
    monkeypatch.setenv("HACONIWA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "seccomp"


@pytest.fixture
def file(folder: Path) -> Path:
    """The one file of a filled cache."""
    write_cached(KEY, PROGRAMS)
    (only,) = folder.iterdir()
    return only


def test_nothing_is_there_at_first(folder: Path) -> None:
    assert read_cached(KEY) is None
    assert not folder.exists()


def test_what_was_written_is_read(folder: Path, file: Path) -> None:
    assert read_cached(KEY) == PROGRAMS
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    write_cached(KEY, PROGRAMS[:1])
    assert read_cached(KEY) == PROGRAMS[:1]
    assert list(folder.iterdir()) == [file]


def test_the_name_alone_is_not_believed(file: Path) -> None:
    other = b"something else"
    write_cached(other, PROGRAMS)
    (second,) = set(file.parent.iterdir()) - {file}
    os.replace(second, file)
    assert read_cached(KEY) is None


def test_damage_shows(file: Path) -> None:
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert read_cached(KEY) is None, size
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read_cached(KEY) is None, at
    file.write_bytes(whole)
    assert read_cached(KEY) == PROGRAMS


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_passed_over(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_cached(KEY) is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_is_passed_over(folder: Path, file: Path, mode: int) -> None:
    folder.chmod(mode)
    before = sorted(path.name for path in folder.iterdir())
    assert read_cached(KEY) is None
    write_cached(b"more", PROGRAMS)
    assert sorted(path.name for path in folder.iterdir()) == before == [file.name]


def test_links_are_not_followed(folder: Path, file: Path, tmp_path: Path) -> None:
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert read_cached(KEY) is None
    write_cached(KEY, PROGRAMS)
    assert not file.is_symlink()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert read_cached(KEY) is None


def test_something_else_in_its_place(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("no folder")
    write_cached(KEY, PROGRAMS)
    assert read_cached(KEY) is None
    assert folder.read_text() == "no folder"


def test_a_fifo_or_folder_as_the_file(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    assert read_cached(KEY) is None
    file.unlink()
    file.mkdir()
    assert read_cached(KEY) is None


@pytest.mark.requires("root")
def test_what_belongs_to_somebody_else_is_passed_over(folder: Path, file: Path) -> None:
    os.chown(file, 1000, 1000)
    assert read_cached(KEY) is None
    write_cached(KEY, PROGRAMS)
    assert read_cached(KEY) == PROGRAMS
    os.chown(folder, 1000, 1000)
    assert read_cached(KEY) is None


def test_a_file_without_end_is_passed_over(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)
    assert read_cached(KEY) is None
