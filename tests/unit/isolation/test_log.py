from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.isolation.log import LARGEST, TIMES, Log


def test_a_full_disk_loses_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), rotates=False)
    full_fd = os.open("/dev/full", os.O_WRONLY)
    file_fd = os.dup(log.fd)
    os.dup2(full_fd, log.fd)
    log.write(b"lost")
    log.write(b"lost as well")
    os.dup2(file_fd, log.fd)
    log.write(b"there is room again\n")
    assert path.read_text() == "\n[16 bytes are missing here: the log could not be written]\nthere is room again\n"
    for fd in (full_fd, file_fd):
        os.close(fd)
    log.close()


def test_times_are_beside_and_move_along(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), rotates=True)
    log.write(b"x" * (LARGEST - 1))
    log.write(b"ab")
    log.close()
    assert (tmp_path / "log.1").stat().st_size == LARGEST - 1
    assert path.read_bytes() == b"ab"
    for name in (f"log{TIMES}.1", f"log{TIMES}"):
        assert (tmp_path / name).read_text().startswith("0 ")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Log(str(tmp_path), rotates=False)
