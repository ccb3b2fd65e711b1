"""Root file systems on btrfs, whose copies are snapshots, and on XFS, whose copies share blocks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.build.archive import archive
from haconiwa.build.cache import remove_cached, unused
from haconiwa.build.copies import copy_tree
from haconiwa.build.create import create
from haconiwa.build.kept import roots_dir
from haconiwa.build.layer import changes, commit
from haconiwa.build.marker import own_marker
from haconiwa.build.place import Place
from haconiwa.build.remove import remove
from haconiwa.host.layers import layer_folder, make_layer, upper_of
from haconiwa.host.subvolumes import is_subvolume, make_directory
from haconiwa.host.tree import remove_tree
from haconiwa.kernel.btrfs import BTRFS_SUBVOL, set_subvol_flags
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.support.build import Recorder, container
from tests.support.filesystems import mounted

pytestmark = pytest.mark.requires("root", "btrfs", "mkfs.btrfs")

CODE = """
echo $(date +%N) > made
mkdir dir; ln made dir/link; chown 12:34 dir . ; chmod 2750 .; truncate -s 1M dir/sparse
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A btrfs that has both the roots and what is kept."""
    with mounted("btrfs", tmp_path) as point:
        monkeypatch.setenv("HACONIWA_CACHE_DIR", str(point / "cache"))
        (point / "srv").mkdir()
        yield point / "srv"


def recipe(path: Path, *, cache: bool = True, overlay: bool = False) -> ContainerSpec:
    spec = container(path, "shell", name=path.name, code=CODE, cache=cache)
    assert spec.rootfs
    return replace(spec, rootfs=replace(spec.rootfs, overlay=overlay))


def made(spec: ContainerSpec) -> str:
    create(spec, Recorder())
    assert spec.rootfs
    return Path(spec.rootfs.path, "made").read_text(encoding="ascii")


def on(path: Path, work: Callable[[int], object]) -> object:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return work(fd)
    finally:
        os.close(fd)


def subvolume(path: Path) -> Path:
    assert make_directory(str(path))
    return path


def subvolumes(here: Path) -> list[str]:
    """The paths of all, as the tool for them has it."""
    command = ["btrfs", "subvolume", "list", str(here.parent)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(line.split()[-1] for line in listed.splitlines())


def look(root: Path) -> list[tuple[object, ...]]:
    """What a copy must have in common with the original."""
    found = []
    for folder, folders, files in os.walk(root):
        for name in (".", *folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            about = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
            content = path.read_bytes() if path.is_file() else b""
            found.append((str(path.relative_to(root)), *about, content))
    return sorted(found)


def test_a_second_container_is_a_snapshot(here: Path) -> None:
    first = made(recipe(here / "one"))
    assert made(recipe(here / "two")) == first
    assert all(on(here / name, is_subvolume) for name in ("one", "two"))
    assert look(here / "one") == look(here / "two")
    (key,) = os.listdir(roots_dir())
    assert subvolumes(here) == [f"cache/roots/{key}/rootfs", "srv/one", "srv/two"]
    (here / "two/made").write_text("changed", encoding="ascii")
    assert made(recipe(here / "three")) == first
    for name in ("one", "two", "three"):
        remove(str(here / name), force=False)
    assert [remove_cached(entry) for entry in unused()] == [True]
    assert subvolumes(here) == []
    assert os.listdir(here) == os.listdir(roots_dir()) == []


def test_what_nobody_will_copy_is_a_plain_directory(here: Path) -> None:
    made(recipe(here / "one", cache=False))
    assert subvolumes(here) == []


def nest(root: Path) -> None:
    """Make what a hostile process in a container can: it needs no privilege for that."""
    inner = subvolume(root / "dir/inner")
    (inner / "a/b").mkdir(parents=True)
    (inner / "a/b/file").write_text("in a subvolume", encoding="ascii")
    deep = subvolume(subvolume(inner / "a/deep") / "deeper")
    (deep / "c").mkdir()
    (deep / "c/file").write_text("deeper", encoding="ascii")
    subvolume(root / "empty")
    for path in (deep, inner / "a/deep", inner, root / "empty"):
        on(path, lambda fd: set_subvol_flags(fd, BTRFS_SUBVOL.RDONLY))


def test_subvolumes_within_are_copied_as_directories(here: Path) -> None:
    root = subvolume(here / "root")
    (root / "dir").mkdir()
    nest(root)
    copy_tree(str(root), str(here / "copy"), Recorder())
    assert look(root) == look(here / "copy")
    assert on(here / "copy", is_subvolume)
    assert len(subvolumes(here)) == 6


@pytest.mark.parametrize("kind", ["none", "squashfs"])
@pytest.mark.requires("mksquashfs")
def test_subvolumes_within_are_archived(here: Path, kind: str) -> None:
    spec = recipe(here / "one")
    made(spec)
    nest(here / "one")
    archive(spec, str(here / "archive"), kind, Recorder())
    target = here / "unpacked"
    target.mkdir()
    into = str(target)
    unpack = ["tar", "-C", into, "-xpf"] if kind == "none" else ["unsquashfs", "-quiet", "-f", "-d", into]
    subprocess.run([*unpack, str(here / "archive")], check=True, stdout=subprocess.DEVNULL)
    assert (target / "dir/inner/a/deep/deeper/c/file").read_text(encoding="ascii") == "deeper"


@pytest.mark.parametrize("readonly", [False, True])
def test_subvolumes_within_are_removed(here: Path, *, readonly: bool) -> None:
    made(recipe(here / "one"))
    nest(here / "one")
    if readonly:
        on(here / "one", lambda fd: set_subvol_flags(fd, BTRFS_SUBVOL.RDONLY))
    remove(str(here / "one"), force=False)
    assert os.listdir(here) == []
    assert len(subvolumes(here)) == 1  # what is kept


def test_subvolumes_in_a_plain_directory_are_removed(here: Path) -> None:
    (here / "plain/dir").mkdir(parents=True)
    nest(here / "plain")
    kept = here / "kept"
    kept.mkdir()
    (here / "plain/dir/inner-link").symlink_to(kept)
    remove_tree(str(here / "plain"))
    assert os.listdir(here) == ["kept"]
    assert subvolumes(here) == []


def test_an_empty_subvolume_is_a_place_for_a_root(here: Path) -> None:
    subvolume(here / "one")
    made(recipe(here / "one"))
    assert own_marker(Place(str(here / "one")))


def test_a_root_is_known_again_when_its_file_system_is_mounted_anew(here: Path, tmp_path: Path) -> None:
    """The device numbers of subvolumes are given out as they are used."""
    for name in ("one", "two"):
        made(recipe(here / name))
    before = (here / "two").stat().st_dev
    subprocess.run(["umount", here.parent], check=True)
    subprocess.run(["mount", "-o", "loop", tmp_path / "btrfs.img", here.parent], check=True)
    places = [Place(str(here / name)) for name in ("two", "one")]
    assert (here / "two").stat().st_dev != before
    assert all(own_marker(place) for place in places)
    os.rename(here / "one", here / "old")
    os.rename(here / "two", here / "one")
    assert own_marker(places[1]) is None


def test_committing_and_standing_alone(here: Path) -> None:
    made(recipe(here / "one"))
    spec = recipe(here / "two", overlay=True)
    create(spec, Recorder())
    folder = layer_folder(str(here / "two"), "two")
    make_layer(folder, str(here / "two"))
    Path(upper_of(folder), "new").touch()
    assert list(changes(spec)) == [("A", "/new")]
    commit(spec, Recorder())
    assert sorted(os.listdir(here / "two")) == ["dir", "made", "new"]
    create(recipe(here / "three", overlay=True), Recorder())
    create(recipe(here / "three"), Recorder())
    assert look(here / "three") == look(here / "one")
    assert on(here / "three", is_subvolume)
    for name in ("one", "two", "three"):
        remove(str(here / name), force=False)
    assert len(subvolumes(here)) == 1


@pytest.mark.requires("xfs", "mkfs.xfs")
def test_a_copy_on_xfs_takes_no_room(tmp_path: Path) -> None:
    with mounted("xfs", tmp_path) as point:
        (point / "one").mkdir()
        (point / "one/large").write_bytes(os.urandom(1 << 24))
        before = free(point)
        copy_tree(str(point / "one"), str(point / "two"), Recorder())
        assert look(point / "one") == look(point / "two")
        assert before - free(point) < 1 << 22


def free(point: Path) -> int:
    on(point, os.fsync)
    os.sync()
    disk = os.statvfs(point)
    return disk.f_bfree * disk.f_frsize
