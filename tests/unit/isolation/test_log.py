from __future__ import annotations

import os
from collections.abc import Callable
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


def assert_put_aside(folder: Path, content: bytes) -> None:
    """There is a long log with its times, and beside it a new one with this content."""
    assert (folder / "log.1").stat().st_size == LARGEST - 1
    assert (folder / "log").read_bytes() == content
    for name in (f"log{TIMES}.1", f"log{TIMES}"):
        assert (folder / name).read_text().startswith("0 ")


def test_times_are_beside_and_move_along(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), rotates=True)
    log.write(b"x" * (LARGEST - 1))
    log.write(b"ab")
    log.close()
    assert_put_aside(tmp_path, b"ab")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("gone", [("log",), (f"log{TIMES}",), ("log", f"log{TIMES}")])
@pytest.mark.parametrize("before", [b"before", b"x" * (LARGEST - 1)], ids=["short", "long"])
def test_a_log_that_was_removed_begins_anew(tmp_path: Path, gone: tuple[str, ...], before: bytes) -> None:
    path = tmp_path / "log"
    log = Log(str(path), rotates=True)
    log.write(before)
    for name in gone:
        (tmp_path / name).unlink()
    log.write(b"after")
    log.close()
    begins_anew = "log" in gone or len(before) > 100
    assert path.read_bytes() == (b"after" if begins_anew else before + b"after")
    if begins_anew:
        assert (tmp_path / f"log{TIMES}").read_text().startswith("0 ")


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("lose", [remove, move, empty])
@pytest.mark.parametrize("opened", ["still", "again"])
def test_the_times_of_a_log_that_has_gone_are_none_of_another(
    tmp_path: Path, lose: Callable[[Path], None], opened: str
) -> None:
    log = Log(str(tmp_path / "log"), rotates=True)
    log.write(b"x" * (LARGEST - 1))
    log.write(b"ab")
    (tmp_path / f"log{TIMES}.1").write_text("0 1.000\n")
    lose(tmp_path / "log")
    if opened == "again":
        log.close()
        log = Log(str(tmp_path / "log"), rotates=True)
    log._stamped = 0.0  # that was a moment ago
    log.write(b"after")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"after"
    assert len((tmp_path / f"log{TIMES}").read_text().splitlines()) == 1
    assert (tmp_path / f"log{TIMES}.1").read_text() == "0 1.000\n"


def test_a_log_that_was_replaced_is_left_where_it_is(tmp_path: Path) -> None:
    """As logrotate does it: nothing of the file that was moved away is lost, and the new one is written to."""
    path = tmp_path / "log"
    log = Log(str(path), rotates=True)
    log.write(b"x" * (LARGEST - 1))
    path.rename(tmp_path / "log.1")
    path.touch()
    log.write(b"ab")
    log.write(b"c")
    log.close()
    assert_put_aside(tmp_path, b"abc")


def test_two_that_write_the_same_log_follow_each_other(tmp_path: Path) -> None:
    logs = [Log(str(tmp_path / "log"), rotates=True) for _ in range(2)]
    logs[0].write(b"x" * (LARGEST - 1))
    logs[0].write(b"ab")
    logs[1].write(b"cd")
    assert (tmp_path / "log").read_bytes() == b"abcd"
    assert (tmp_path / "log.1").stat().st_size == LARGEST - 1
    for log in logs:
        log.close()


def test_what_cannot_be_opened_any_more_leaves_no_descriptor(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), rotates=True)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("log", f"log{TIMES}"):
        (tmp_path / name).unlink()
    (tmp_path / f"log{TIMES}").mkdir()
    log.write(b"lost")
    log.write(b"lost")
    assert len(os.listdir("/proc/self/fd")) == before
    (tmp_path / f"log{TIMES}").rmdir()
    log.write(b"found")
    assert (tmp_path / "log").read_text().endswith("[8 bytes are missing here: the log could not be written]\nfound")
    log.close()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Log(str(tmp_path), rotates=False)
