"""The private folder beside an archive: whose it is, how it looks on other file systems, and what the killed leave."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.archive import TYPES, archive
from haconiwa.build.beside import beside
from haconiwa.errors import BuildError
from haconiwa.kernel.mount import umount2
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container
from tests.support.child import in_child

pytestmark = [pytest.mark.requires("root", "bzip2", "xz", "zstd"), pytest.mark.usefixtures("run_dirs")]

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "web"
    path.mkdir()
    (path / "file").touch()
    return path


@pytest.fixture
def target(run_dirs: RunDirs) -> Path:
    """Where archives are written to; every user can go there."""
    path = run_dirs.base / "target"
    path.mkdir()
    return path


@pytest.fixture
def on_bindfs(target: Path, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Let the target be a file system that shows owners or modes of its own."""

    def mount(option: str) -> None:
        subprocess.run(["bindfs", option, target, target], check=True, capture_output=True)
        request.addfinalizer(lambda: umount2(target))

    return mount


@pytest.mark.requires("bindfs", "fuse", "mksquashfs")
@pytest.mark.parametrize("kind", TYPES)
def test_a_file_system_that_keeps_no_modes(
    root: Path, target: Path, on_bindfs: Callable[[str], None], kind: str
) -> None:
    on_bindfs("--perms=0755")
    archive(container(root), str(target / "a"), kind, Recorder())
    assert os.listdir(target) == ["a"]


@pytest.mark.requires("bindfs", "fuse")
def test_a_file_system_that_lets_others_write(root: Path, target: Path, on_bindfs: Callable[[str], None]) -> None:
    on_bindfs("--perms=0777")
    with pytest.raises(
        BuildError, match=r"others can write to what is made there \(mode 0777\): the file system keeps"
    ):
        archive(container(root), str(target / "a"), "none", Recorder())
    assert os.listdir(target) == []


@pytest.mark.requires("bindfs", "fuse")
def test_a_file_system_that_gives_all_to_one_user(root: Path, target: Path, on_bindfs: Callable[[str], None]) -> None:
    on_bindfs("--force-user=1000")
    spec = container(root)
    with pytest.raises(BuildError, match="belongs to user 1000: the file system keeps no owners") as refused:
        archive(spec, str(target / "a"), "none", Recorder())
    assert "trusted_uids" in refused.value.hint
    assert os.listdir(target) == []
    assert spec.rootfs
    trusting = replace(spec, rootfs=replace(spec.rootfs, trusted_uids=(1000,)))
    archive(trusting, str(target / "a"), "none", Recorder())
    assert os.listdir(target) == ["a"]


def test_who_makes_files_as_another_user(target: Path) -> None:
    """As root is another user for an NFS server."""
    target.chmod(0o1777)

    def work() -> None:
        ctypes.CDLL(None).setfsuid(NOBODY)
        with pytest.raises(BuildError, match=f"belongs to user {NOBODY}: the file system keeps no owners"):
            make(target / "a")
        make(target / "b", (NOBODY,))

    in_child(work)
    assert os.listdir(target) == ["b"]


def make(path: Path, trusted_uids: tuple[int, ...] = ()) -> None:
    with beside(str(path), trusted_uids) as folder:
        Path(folder.path).touch()
        folder.settle()


@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o700), (0, 0o720), (0, 0o702), (0, 0o1777)])
def test_an_empty_folder_of_others_is_not_taken_for_ours(
    target: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int
) -> None:
    mkdir = os.mkdir

    def make_and_exchange(name: str, _mode: int, *, dir_fd: int) -> None:
        mkdir(name, dir_fd=dir_fd)
        os.chown(target / name, owner, owner)
        os.chmod(target / name, mode)

    monkeypatch.setattr(os, "mkdir", make_and_exchange)
    with pytest.raises(BuildError, match=r"(belongs to user 65534|others can write).*somebody else changes the folder"):
        make(target / "a")
    assert os.listdir(target) == []


def test_what_cannot_be_replaced_is_named(target: Path) -> None:
    (target / "a/b").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as failed:
        make(target / "a")
    assert (failed.value.filename, failed.value.filename2) == (str(target / "a"), None)


def leave_behind(target: Path) -> Path:
    """What a process leaves that was killed at work."""
    pid = os.fork()
    if pid == 0:
        with beside(str(target / "a")) as folder:
            os.mkdir(folder.path)
            Path(folder.path, "part").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (left,) = target.glob(".haconiwa-*")
    return left


def test_what_the_killed_have_left_is_removed(target: Path) -> None:
    left = leave_behind(target)
    assert os.listdir(left) == ["new"]
    make(target / "b")
    assert os.listdir(target) == ["b"]


def test_what_others_work_in_or_own_stays(target: Path) -> None:
    theirs, other = leave_behind(target), target / f".haconiwa-{24 * 'g'}"
    os.chown(theirs, NOBODY, NOBODY)
    (other / "new").mkdir(parents=True)
    with beside(str(target / "a")) as folder:
        Path(folder.path).touch()
        make(target / "b")
        assert os.path.exists(folder.path)
        folder.settle()
    assert sorted(path.name for path in target.iterdir()) == sorted([theirs.name, other.name, "a", "b"])


def test_who_was_not_quick_enough_to_lock_keeps_its_folder(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = os.mkdir

    def make_and_wait(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        monkeypatch.setattr(os, "mkdir", mkdir)
        make(target / "b")

    monkeypatch.setattr(os, "mkdir", make_and_wait)
    make(target / "a")
    assert sorted(os.listdir(target)) == ["a", "b"]


def test_nothing_is_removed_where_others_choose_the_names(target: Path) -> None:
    """Whoever owns the folder above could give a folder of root's, which it may not empty, such a name."""
    left = leave_behind(target)
    os.chown(target, NOBODY, NOBODY)
    make(target / "b")
    assert left.exists()
