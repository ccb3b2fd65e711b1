from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haconiwa.build.marker import State, own_marker, read_marker, remove_marker, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.errors import BuildError
from haconiwa.host.image_record import identity


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "web").mkdir()
    return Place(str(tmp_path / "web"))


def test_everything_is_beside_the_root(place: Place) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)
    with locked(place):
        assert sorted(os.listdir(place.parent)) == [".web.haconiwa.json", ".web.haconiwa.lock", "web"]
    assert sorted(os.listdir(place.parent)) == [".web.haconiwa.json", "web"]
    assert os.listdir(place.root) == []


def test_a_link_to_the_root_is_the_same_place(place: Place, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("web")
    assert Place(str(tmp_path / "link")).marker == place.marker


@pytest.mark.parametrize("state", State)
def test_what_is_written_can_be_read(place: Place, state: State) -> None:
    write_marker(place, state, "shell", place.root)
    marker = read_marker(place)
    assert marker is not None
    there = (marker.filesystem, marker.inode)
    assert (marker.state, marker.strategy, there) == (state, "shell", identity(place.root))
    assert marker.inode == os.stat(place.root).st_ino


def test_another_directory_of_the_name_is_not_ours(place: Place) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)
    assert own_marker(place) is not None
    os.rename(place.root, place.root + ".old")
    assert own_marker(place) is None
    os.mkdir(place.root)
    assert own_marker(place) is None


def test_a_link_in_the_place_of_the_root_is_not_ours(place: Place) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)
    os.rename(place.root, place.root + ".old")
    os.symlink(place.root + ".old", place.root)
    assert own_marker(place) is None


def test_what_a_script_has_begun_in_its_place_is_ours(place: Place) -> None:
    write_marker(place, State.BUILDING, "shell")
    assert own_marker(place) is not None


def test_a_marker_that_cannot_be_written_leaves_the_old_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_marker(place, State.BUILDING, "host")
    marker = read_marker(place)
    assert marker is not None
    assert marker.state is State.COMPLETE
    assert sorted(os.listdir(place.parent)) == [".web.haconiwa.json", "web"]


def test_removing_is_idempotent(place: Place) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)
    Path(f"{place.marker}.new").touch()
    remove_marker(place)
    remove_marker(place)
    assert os.listdir(place.parent) == ["web"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
_fields = st.fixed_dictionaries(
    {},
    optional={name: _json | st.sampled_from(["complete", 1]) for name in ("state", "strategy", "filesystem", "inode")},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | (_json | _fields).map(lambda value: json.dumps(value).encode()))
def test_hostile_content_is_no_marker_or_a_whole_one(place: Place, content: bytes) -> None:
    Path(place.marker).write_bytes(content)
    marker = read_marker(place)
    assert marker is None or marker.state in State
    assert marker is None or type(marker.inode) is int


@pytest.mark.parametrize("size", range(0, 76, 3))
def test_a_truncated_marker_is_none(place: Place, size: int) -> None:
    write_marker(place, State.COMPLETE, "host", place.root)
    content = Path(place.marker).read_bytes()
    Path(place.marker).write_bytes(content[: min(size, len(content) - 1)])
    assert read_marker(place) is None


def test_odd_files_in_the_place_of_the_marker_are_none(place: Place) -> None:
    os.mkfifo(place.marker)
    assert read_marker(place) is None
    os.unlink(place.marker)
    os.symlink("/etc/passwd", place.marker)
    assert read_marker(place) is None
    os.unlink(place.marker)
    os.mkdir(place.marker)
    assert read_marker(place) is None


def test_a_second_lock_is_refused_and_the_first_stays(place: Place) -> None:
    with locked(place):
        for _ in range(2):
            with pytest.raises(BuildError, match="another haconiwa is building"), locked(place):
                pytest.fail("both have the lock")
    with locked(place):
        pass


def test_a_lock_file_that_stayed_behind_locks_nothing(place: Place) -> None:
    Path(place.lock).touch()
    with locked(place):
        pass


def test_a_lock_file_is_not_followed(place: Place, tmp_path: Path) -> None:
    os.symlink(tmp_path / "target", place.lock)
    with pytest.raises(BuildError, match="cannot lock"), locked(place):
        pass
    assert not (tmp_path / "target").exists()
