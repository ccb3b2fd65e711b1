from __future__ import annotations

import errno
from pathlib import Path

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.rename import RENAME, renameat2

AT_FDCWD = -100


def test_two_directories_are_exchanged(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / name).mkdir(parents=True)
    renameat2(AT_FDCWD, str(tmp_path / "a"), AT_FDCWD, str(tmp_path / "b"), RENAME.EXCHANGE)
    assert (tmp_path / "a/b").is_dir()
    assert (tmp_path / "b/a").is_dir()


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name, encoding="ascii")
    with pytest.raises(SyscallError, match="renameat2") as raised:
        renameat2(AT_FDCWD, str(tmp_path / "a"), AT_FDCWD, str(tmp_path / "b"), RENAME.NOREPLACE)
    assert raised.value.errno == errno.EEXIST
    renameat2(AT_FDCWD, str(tmp_path / "a"), AT_FDCWD, str(tmp_path / "b"))
    assert (tmp_path / "b").read_text(encoding="ascii") == "a"
