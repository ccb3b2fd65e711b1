"""Removing roots: what is mounted or in use is refused, and nothing outside is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.build.remove import remove
from haconiwa.errors import BuildError
from haconiwa.host.helper import run_helper
from haconiwa.kernel.mount import MS, mount, umount2
from tests.support.build import Recorder, container

pytestmark = pytest.mark.requires("root")


def isolated(work: Callable[[], object]) -> None:
    """Run something in a child with a mount namespace of its own."""

    def inside() -> int:
        work()
        return 0

    lines: list[str] = []
    assert run_helper(inside, lines.append) == 0, "\n".join(lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create(container(tmp_path / "web", "host"), Recorder())
    return tmp_path / "web"


def test_our_own_goes_with_its_marker(root: Path) -> None:
    remove(str(root), force=False)
    assert os.listdir(root.parent) == []


def test_hostile_content_goes_and_nothing_else(root: Path) -> None:
    kept = root.parent / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (root / "link").symlink_to(kept)
    (root / "etc/up").symlink_to("../../kept")
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    (root / "closed").mkdir(mode=0)
    (root / "closed/x").touch()
    remove(str(root), force=False)
    assert os.listdir(root.parent) == ["kept"]
    assert (kept / "file").exists()


@pytest.mark.parametrize("where", [".", "home", "etc/ssl"])
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_no_mount_is_crossed(root: Path, kind: str, where: str) -> None:
    kept = root.parent / "kept"
    kept.mkdir()

    def work() -> None:
        if kind == "bind":  # of the same device: only the kernel's list of mounts tells
            mount(str(kept), str(root / where), None, MS.BIND)
        else:
            mount("tmpfs", str(root / where), "tmpfs")
        (root / where / "precious").touch()
        with pytest.raises(BuildError, match="something is mounted on"):
            remove(str(root), force=True)
        assert (root / where / "precious").exists()
        assert own_marker(Place(str(root))) is not None or where == "."
        umount2(str(root / where))

    isolated(work)
    assert (root / "etc/passwd").exists()


def test_somebody_at_work_is_not_disturbed(root: Path) -> None:
    with locked(Place(str(root))), pytest.raises(BuildError, match="another haconiwa"):
        remove(str(root), force=True)
    assert (root / "etc/passwd").exists()


def test_another_directory_of_the_name_is_not_removed(root: Path) -> None:
    root.rename(root.parent / "old")
    root.mkdir()
    (root / "precious").touch()
    with pytest.raises(BuildError, match="was not made by haconiwa"):
        remove(str(root), force=False)
    assert (root / "precious").exists()


def test_a_link_to_a_root_removes_the_root(root: Path) -> None:
    (root.parent / "link").symlink_to("web")
    remove(str(root.parent / "link"), force=False)
    assert os.listdir(root.parent) == ["link"]


def test_what_an_interrupted_script_left_is_ours(tmp_path: Path) -> None:
    (tmp_path / "web/half").mkdir(parents=True)
    write_marker(Place(str(tmp_path / "web")), State.BUILDING, "shell")
    remove(str(tmp_path / "web"), force=False)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_removal_is_ended_by_the_next_one(root: Path) -> None:
    place = Place(str(root))
    os.mkdir(place.partial, 0o700)
    os.rename(place.root, place.partial_root)
    assert own_marker(place) is None
    remove(str(root), force=False)
    assert os.listdir(root.parent) == []
