from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.lifecycle.identity import (
    NOBODY,
    Identity,
    age_s,
    boot_id,
    identify,
    is_alive,
    open_elder,
    open_pidfd,
    signal_process,
)


def test_own_identity() -> None:
    own = identify(os.getpid())
    assert own.pid == os.getpid()
    assert own == identify(os.getpid())
    assert is_alive(own)


def test_another_start_time_is_another_process() -> None:
    own = identify(os.getpid())
    other = Identity(pid=own.pid, started_at=own.started_at - 1)
    assert open_pidfd(other) == -1
    assert not is_alive(other)


def test_process_whose_name_looks_like_its_other_fields() -> None:
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 2 3 (x'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = identify(process.pid)
        assert identity.started_at >= identify(os.getpid()).started_at
        assert is_alive(identity)
        process.communicate(b"\n")
    assert not is_alive(identity)


def test_zombie_counts_as_ended() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    identity = identify(pid)
    pidfd = open_pidfd(identity)
    assert select.select([pidfd], [], [], 20)[0]
    assert not is_alive(identity)
    os.waitpid(pid, 0)
    assert open_pidfd(identity) == -1
    os.close(pidfd)


def test_process_that_does_not_exist() -> None:
    with pytest.raises(OSError, match="No such file"):
        identify(2**22 + 1)


@given(st.integers(), st.integers())
def test_damaged_identities_are_nobody(pid: int, started_at: int) -> None:
    identity = Identity(pid=-abs(pid), started_at=started_at)
    assert open_pidfd(identity) == -1
    assert not is_alive(Identity(pid=2**31 + abs(pid), started_at=started_at))


def test_nobody() -> None:
    assert not is_alive(NOBODY)


def test_boot_id_stays() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36


def test_a_process_that_is_younger_than_the_file_is_another(tmp_path: Path) -> None:
    file = tmp_path / "control"
    file.touch()
    os.close(open_elder(os.getpid(), file.stat().st_mtime))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ProcessLookupError):
        open_elder(os.getpid(), file.stat().st_mtime - age_s(identify(os.getpid())) - 1)
    assert os.listdir("/proc/self/fd") == before


def test_signal_to_a_process_that_is_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    signal_process(pidfd, signal.SIGTERM)
    os.close(pidfd)
