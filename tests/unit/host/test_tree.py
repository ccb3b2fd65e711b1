from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.build.remove import remove
from haconiwa.errors import BuildError
from haconiwa.host.helper import run_helper
from haconiwa.host.tree import mounts_below, remove_tree
from haconiwa.kernel.mount import AT, MOUNT_ATTR, mount_setattr


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / "a/link").symlink_to(tmp_path / "kept/file")
    (tree / "a/b/up").symlink_to("../../..")
    os.mkfifo(tree / "a/fifo")
    remove_tree(str(tree))
    assert sorted(os.listdir(tmp_path)) == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_depth_is_no_limit(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 200, dir_fd=fd)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(str(tree))
    assert os.listdir(tmp_path) == []


def test_width_and_names_are_no_limit(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("-rf", "a\nb", b"\xff".decode("utf-8", "surrogateescape"), "x" * 255, " ", "$(x)"):
        (tree / name / name).mkdir(parents=True)
    for number in range(500):
        (tree / str(number)).mkdir()
        (tree / str(number) / "f").touch()
    remove_tree(str(tree))
    assert os.listdir(tmp_path) == []


def test_a_missing_tree_is_fine(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "missing"))


def test_a_link_in_the_place_of_the_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    with pytest.raises(BuildError, match=r"cannot remove .*Not a directory"):
        remove_tree(str(tmp_path / "link"))
    assert (tmp_path / "kept").exists()


def test_a_mount_below_refuses_the_tree() -> None:
    with pytest.raises(BuildError, match='something is mounted on "/proc"'):
        remove_tree("/proc")
    assert "/proc" in mounts_below("/")


@pytest.mark.usefixtures("run_dirs")  # so that it does not depend on where haconiwa keeps things
@pytest.mark.parametrize(
    "path",
    ["/", "//", "/usr", "/usr/share/x", "/etc/x", "/home", "/var", "/var/lib", "/var/tmp/../lib/", "/bin/x", "/proc/1",
     "/srv"],
)  # fmt: skip
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.usefixtures("run_dirs")
def test_the_system_is_not_removed(path: str, force: bool) -> None:
    def attempt() -> int:
        if os.geteuid() == 0:  # should it be tried all the same, the machine must not suffer
            mount_setattr(-100, "/", AT.RECURSIVE, attr_set=MOUNT_ATTR.RDONLY)
        with pytest.raises(BuildError, match="cannot remove"):
            remove(path, force=force)
        return 0

    assert run_helper(attempt, print) == 0


@pytest.mark.usefixtures("run_dirs")
def test_where_we_are_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    with pytest.raises(BuildError, match="you are in it"):
        remove(str(tmp_path / "a"), force=True)


@pytest.mark.usefixtures("run_dirs")
def test_a_directory_that_is_not_ours_is_only_removed_by_force(tmp_path: Path) -> None:
    (tmp_path / "other/file").parent.mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(BuildError, match="was not made by haconiwa") as raised:
        remove(str(tmp_path / "other"), force=False)
    assert "--force" in raised.value.hint
    assert (tmp_path / "other/file").exists()
    remove(str(tmp_path / "other"), force=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("run_dirs")
def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove(str(tmp_path / "missing"), force=False)
    remove(str(tmp_path / "no/parent"), force=False)
    assert os.listdir(tmp_path) == []
