"""Removing roots: what is mounted or in use is refused, and nothing outside is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.build.archive import archive
from haconiwa.build.create import create
from haconiwa.build.layer import commit
from haconiwa.build.marker import State, own_marker, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.build.provision import provision
from haconiwa.build.remove import remove
from haconiwa.errors import BuildError
from haconiwa.host.helper import run_helper
from haconiwa.kernel.mount import MS, mount, umount2
from haconiwa.spec.record import replace
from tests.support.build import Recorder, container, shell_step

OTHER_UID = 52_998

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


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Path]:
    """A root below a folder that another user owns, and a directory of the same name, with a marker as ours."""
    for name in ("theirs", "precious"):
        create(container(tmp_path / name / "web", "host"), Recorder())
        (tmp_path / name / "web/etc/passwd").write_text("kept", encoding="ascii")
    os.chown(tmp_path / "theirs", OTHER_UID, OTHER_UID)
    yield tmp_path / "theirs/web"
    for name in ("theirs", "precious"):
        assert (tmp_path / name / "web/etc/passwd").read_text(encoding="ascii") == "kept"
        assert sorted(os.listdir(tmp_path / name)) == [".web.haconiwa.json", "web"]


def work_on(root: Path) -> dict[str, Callable[[], object]]:
    layered = container(root, "host")
    assert layered.rootfs is not None
    layered = replace(layered, rootfs=replace(layered.rootfs, overlay=True))
    stepped = container(root, "host", steps=(shell_step("rm /etc/passwd"),))
    return {
        "rm": lambda: remove(str(root), force=False),
        "rm --force": lambda: remove(str(root), force=True),
        "create": lambda: create(stepped, Recorder()),
        "create --force": lambda: create(stepped, Recorder(), force=True),
        "provision": lambda: provision(stepped, Recorder()),
        "commit": lambda: commit(layered, Recorder()),
        "archive": lambda: archive(stepped, str(root.parents[1] / "a"), "none", Recorder()),
    }


@pytest.mark.parametrize("command", work_on(Path("/")))
def test_a_folder_of_another_user_above_is_refused(theirs: Path, command: str) -> None:
    why = f'cannot work on "{theirs}": "{theirs.parent}" belongs to user {OTHER_UID}, not to root or to you'
    with pytest.raises(BuildError, match=re.escape(why)) as caught:
        work_on(theirs)[command]()
    assert caught.value.hint.startswith("chown it, or set trusted_uids in the global config, or keep the root")


def test_a_folder_of_somebody_who_is_trusted_is_as_good_as_roots(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", OTHER_UID, OTHER_UID)
    spec = container(tmp_path / "theirs/web", "host")
    assert spec.rootfs is not None
    spec = replace(spec, rootfs=replace(spec.rootfs, trusted_uids=(OTHER_UID,)))
    create(spec, Recorder())
    remove(str(tmp_path / "theirs/web"), force=False, trusted_uids=(OTHER_UID,))
    assert os.listdir(tmp_path / "theirs") == []


@pytest.mark.parametrize("command", work_on(Path("/")))
def test_a_folder_that_is_exchanged_after_it_was_resolved(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    resolve = os.path.realpath
    moved = theirs.parents[1] / "moved"

    def resolve_and_exchange(path: str) -> str:
        real = resolve(path)
        if real == str(theirs) and not moved.exists():
            theirs.parent.rename(moved)
            theirs.parent.symlink_to(theirs.parents[1] / "precious")
            os.chown(theirs.parents[1], OTHER_UID, -1)
        return real

    monkeypatch.setattr(os.path, "realpath", resolve_and_exchange)
    with pytest.raises(BuildError, match=f'"{theirs.parents[1]}" belongs to user {OTHER_UID}, not to root'):
        work_on(theirs)[command]()
    theirs.parent.unlink()
    moved.rename(theirs.parent)


def test_a_folder_that_others_can_write_to_is_refused_unless_it_is_sticky(root: Path) -> None:
    os.chmod(root.parent, 0o777)
    with pytest.raises(BuildError, match=rf'others can write to "{root.parent}" \(mode 0777\)'):
        remove(str(root), force=False)
    with pytest.raises(BuildError, match="others can write to"):
        create(container(root.parent / "new/deep/web", "host"), Recorder())
    assert sorted(os.listdir(root.parent)) == [".web.haconiwa.json", "web"]
    os.chmod(root.parent, 0o1777)
    for name in (".web.layers", ".web.haconiwa.lock"):  # what others were the first to make beside it
        (root.parent / name).mkdir()
        os.chown(root.parent / name, OTHER_UID, -1)
        with pytest.raises(BuildError, match=rf'{name}" belongs to user {OTHER_UID}, not to root or to you'):
            remove(str(root), force=False)
        (root.parent / name).rmdir()
    remove(str(root), force=False)
    assert os.listdir(root.parent) == []


def test_a_folder_of_roots_own_group_is_nobody_elses(root: Path) -> None:
    os.chmod(root.parent, 0o775)
    remove(str(root), force=False)


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
