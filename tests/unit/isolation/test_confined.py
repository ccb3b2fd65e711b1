"""Paths made inside a root by descriptors, with links that lead nowhere and others who make the same."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.isolation.confined import make_directory, make_file

_MAKERS = 4
_ROUNDS = 100


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    """An empty root."""
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture
def root(tmp_path: Path, root_fd: int) -> Path:
    """Its path."""
    return tmp_path / "root"


def made(make: Callable[[int, str], int], root_fd: int, path: str, target: Path) -> bool:
    """Make a path inside; whether it is what a process of the host finds at `target`."""
    fd = make(root_fd, path)
    try:
        return os.path.samestat(os.fstat(fd), os.stat(target, follow_symlinks=False))
    finally:
        os.close(fd)


def fails(make: Callable[[int, str], int], root_fd: int, path: str) -> int | None:
    """The errno of a path that cannot be made."""
    try:
        os.close(make(root_fd, path))
    except OSError as error:
        return error.errno
    return None


def make_both(root_fd: int, gate_fd: int) -> None:
    """Once the gate opens, make a directory and a file some levels down in each round."""
    os.read(gate_fd, 1)
    for number in range(_ROUNDS):
        os.close(make_directory(root_fd, f"/{number}/one/two"))
        os.close(make_file(root_fd, f"/{number}/three/file"))


def test_several_make_the_same_at_the_same_time(root_fd: int) -> None:
    gate_fd, opener_fd = os.pipe()
    makers = []
    for _ in range(_MAKERS):
        if pid := os.fork():
            makers.append(pid)
            continue
        status = 1
        try:
            os.close(opener_fd)
            make_both(root_fd, gate_fd)
            status = 0
        finally:
            os._exit(status)
    os.close(opener_fd)  # all makers read the end of the pipe now
    os.close(gate_fd)
    assert [os.waitpid(pid, 0)[1] for pid in makers] == [0] * _MAKERS


def test_link_that_leads_nowhere_is_followed_inside(root_fd: int, root: Path) -> None:
    (root / "directory").symlink_to("/srv/data")
    (root / "file").symlink_to("../../etc/below/../name")
    assert made(make_directory, root_fd, "/directory/deep", root / "srv/data/deep")
    assert made(make_file, root_fd, "/file", root / "etc/name")
    assert not (root.parent / "etc").exists()


def test_directories_have_the_mode_that_is_asked_for(root_fd: int, root: Path) -> None:
    os.close(make_directory(root_fd, "/private/deep/", 0o700))
    os.close(make_file(root_fd, "/public/file"))
    assert [(root / name).stat().st_mode & 0o777 for name in ("private", "private/deep", "public")] == [
        0o700,
        0o700,
        0o755,
    ]


def test_what_is_in_the_way_is_named(root_fd: int, root: Path) -> None:
    (root / "file").touch()
    (root / "circle").symlink_to("circle")
    assert fails(make_directory, root_fd, "/file") == errno.ENOTDIR
    assert fails(make_directory, root_fd, "/file/deep") == errno.ENOTDIR
    assert fails(make_file, root_fd, "/circle") == errno.ELOOP


@pytest.mark.parametrize("make", [make_directory, make_file])
def test_a_link_past_what_is_made_does_not_lead_out(root_fd: int, root: Path, make: Callable[[int, str], int]) -> None:
    (root / "link").symlink_to("made/../../../outside/deep")
    assert made(make, root_fd, "/link", root / "outside/deep")
    assert made(make, root_fd, "/also/../../elsewhere/deep", root / "elsewhere/deep")
    assert os.listdir(root.parent) == ["root"]


def test_many_levels(root_fd: int, root: Path) -> None:
    path = "/d" * 1500
    os.close(make_file(root_fd, f"{path}/file"))
    subprocess.run(["rm", "-r", str(root / "d")], check=True)  # too deep for shutil
