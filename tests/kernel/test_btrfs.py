from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from haconiwa.kernel.btrfs import (
    BTRFS_SUBVOL,
    count_subvolumes_within,
    get_subvol_flags,
    set_subvol_flags,
    snap_create,
    snap_destroy,
    subvol_create,
)
from haconiwa.kernel.errors import SyscallError
from tests.support.filesystems import mounted

pytestmark = pytest.mark.requires("root", "btrfs", "mkfs.btrfs")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The top of a file system, and a descriptor of it."""
    with mounted("btrfs", tmp_path) as folder:
        fd = os.open(folder, os.O_RDONLY)
        yield folder, fd
        os.close(fd)


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_snapshot_has_what_the_subvolume_had(here: tuple[Path, int]) -> None:
    folder, fd = here
    subvol_create(fd, "one")
    (folder / "one/file").write_text("1", encoding="ascii")
    os.chown(folder / "one", 1, 2)
    source_fd = opened(folder / "one")
    snap_create(fd, "two", source_fd)
    (folder / "one/file").write_text("2", encoding="ascii")
    assert (folder / "two/file").read_text(encoding="ascii") == "1"
    assert (folder / "two").stat().st_uid == 1
    snap_destroy(fd, "one")
    os.close(source_fd)
    assert os.listdir(folder) == ["two"]


def test_subvolumes_within_are_counted_and_hinder_the_removal(here: tuple[Path, int]) -> None:
    folder, fd = here
    subvol_create(fd, "outer")
    outer_fd = opened(folder / "outer")
    assert count_subvolumes_within(outer_fd) == 0
    for number in range(3):
        subvol_create(outer_fd, str(number))
    assert count_subvolumes_within(outer_fd) == 3
    with pytest.raises(SyscallError) as raised:
        snap_destroy(fd, "outer")
    assert raised.value.errno == errno.ENOTEMPTY
    for number in range(253):
        subvol_create(outer_fd, f"x{number}")
    with pytest.raises(SyscallError) as raised:
        count_subvolumes_within(outer_fd)
    assert raised.value.errno == errno.EOVERFLOW
    os.close(outer_fd)


def test_a_subvolume_is_read_only_and_is_no_more(here: tuple[Path, int]) -> None:
    folder, fd = here
    subvol_create(fd, "one")
    inner_fd = opened(folder / "one")
    set_subvol_flags(inner_fd, BTRFS_SUBVOL.RDONLY)
    assert get_subvol_flags(inner_fd) == BTRFS_SUBVOL.RDONLY
    with pytest.raises(OSError, match="Read-only"):
        (folder / "one/file").touch()
    set_subvol_flags(inner_fd, 0)
    (folder / "one/file").touch()
    os.close(inner_fd)


def test_a_link_is_no_subvolume(here: tuple[Path, int]) -> None:
    folder, fd = here
    subvol_create(fd, "one")
    (folder / "link").symlink_to("one")
    for name, number in (("link", errno.EINVAL), ("none", errno.ENOENT)):
        with pytest.raises(SyscallError) as raised:
            snap_destroy(fd, name)
        assert raised.value.errno in (number, errno.ENOTDIR)
    assert (folder / "one").is_dir()


def test_elsewhere_there_are_none(tmp_path: Path) -> None:
    fd = opened(tmp_path)
    for call in (lambda: subvol_create(fd, "one"), lambda: snap_destroy(fd, "one"), lambda: get_subvol_flags(fd)):
        with pytest.raises(SyscallError) as raised:
            call()
        assert raised.value.errno == errno.ENOTTY
    os.close(fd)
