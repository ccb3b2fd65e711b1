"""The log of a process in the background, whose stdout and stderr lead to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from haconiwa.supervisor import messages
from haconiwa.supervisor.own_log import LARGEST, OwnLog, open_own_log
from tests.support.child import in_child


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_LOG_DIR", str(tmp_path / "logs"))
    return tmp_path / "logs" / "web.supervisor.log"


def lead_output() -> None:
    """As a process in the background has it."""
    fd = open_own_log("web")
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def test_a_long_one_is_put_aside_and_a_new_one_begins(path: Path) -> None:
    def process() -> None:
        lead_output()
        messages.use_log(OwnLog("web", puts_aside=True))
        messages.say("first")
        os.truncate(path, LARGEST + 1)
        messages.say("second")
        os.write(2, b"third\n")

    in_child(process)
    assert path.read_text() == "second\nthird\n"
    assert Path(f"{path}.1").stat().st_size == LARGEST + 1


def test_one_that_was_removed_or_moved_is_begun_anew(path: Path) -> None:
    def process() -> None:
        lead_output()
        log = OwnLog("web", puts_aside=True)
        for word in (b"one\n", b"two\n"):
            path.rename(f"{path}.moved")
            log.renew()
            os.write(1, word)
            os.write(2, word)

    in_child(process)
    assert path.read_text() == "two\n" * 2
    assert Path(f"{path}.moved").read_text() == "one\n" * 2


def test_who_shares_it_follows_and_puts_nothing_aside(path: Path) -> None:
    def process() -> None:
        lead_output()
        barn, supervisor = OwnLog("web", puts_aside=False), OwnLog("web", puts_aside=True)
        os.truncate(path, LARGEST + 1)
        barn.renew()
        assert path.stat().st_size == LARGEST + 1
        before = os.fstat(1)
        supervisor.renew()
        assert not os.path.samestat(before, os.fstat(1))

    in_child(process)
    assert path.stat().st_size == 0


def test_what_a_hook_has_led_elsewhere_stays_there(path: Path, tmp_path: Path) -> None:
    def process() -> None:
        lead_output()
        log = OwnLog("web", puts_aside=True)
        fd = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(fd, 1)
        os.truncate(path, LARGEST + 1)
        log.renew()
        os.write(1, b"elsewhere\n")
        os.write(2, b"a message\n")

    in_child(process)
    assert (tmp_path / "other").read_text() == "elsewhere\n"
    assert path.read_text() == "a message\n"


def test_a_process_forked_from_it_leaves_the_files_alone(path: Path) -> None:
    """It may be one that sees another root file system under the same path."""

    def process() -> None:
        lead_output()
        log = OwnLog("web", puts_aside=True)
        os.truncate(path, LARGEST + 1)
        in_child(log.renew)

    in_child(process)
    assert path.stat().st_size == LARGEST + 1


def test_while_no_file_can_be_opened_the_old_one_goes_on(path: Path) -> None:
    def process() -> None:
        lead_output()
        log = OwnLog("web", puts_aside=True)
        path.rename(f"{path}.old")
        path.symlink_to("elsewhere")  # never followed
        log.renew()
        os.write(1, b"goes on\n")

    in_child(process)
    assert Path(f"{path}.old").read_text() == "goes on\n"
    assert not path.with_name("elsewhere").exists()


def test_a_hook_that_has_closed_stdout_hinders_no_message(path: Path) -> None:
    def process() -> None:
        lead_output()
        sys.stdout = open(os.dup(1), "w")  # noqa: SIM115 - what a hook closes
        sys.stdout.close()
        messages.say("goes on")

    in_child(process)
    assert path.read_text() == "goes on\n"
