"""A container of a plain haco file, as ``haconiwa new`` writes it, has none of the known holes, nor has ``attach``.

What the program in tests/support/holes.py looks for cannot all be seen from inside. Held elsewhere: targets of mounts
that are links (test_hostile_root.py), pids of others (test_daemon.py, test_attach.py), the order of namespaces
(test_attach.py, `TestUserNamespace`), exit statuses (test_exit_status.py), failing networks (network/test_refused.py).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.kernel.capabilities import to_mask
from haconiwa.kernel.syscall_tables import ABIS
from tests.conftest import RunDirs
from tests.integration.box import CAPABILITIES
from tests.support.holes import CALLS, CHECKS
from tests.support.program import TREE, Program

pytestmark = [pytest.mark.requires("root"), pytest.mark.layouts]

NAME = f"plain-{os.getpid()}"
PROBE = Path(TREE) / "tests" / "support" / "holes.py"
PYTHON = ("/usr/bin/python3", "-I")
NUMBERS = ABIS[os.uname().machine].numbers()
NAMES = [check.__name__ for check in CHECKS]
CORE = CALLS.keys() - {"kexec_load", "init_module", "delete_module", "perf_event_open", "io_uring_setup", "userfaultfd"}
"""System calls that every kernel has."""


def facts() -> str:
    keyctl = ctypes.c_long(NUMBERS["keyctl"])
    return json.dumps({
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "ipc", "uts", "pid", "cgroup")},
        "numbers": {name: NUMBERS[name] for name in CALLS},
        "keyring": ctypes.CDLL(None).syscall(keyctl, 0, ctypes.c_long(-3), 0),
        "hostname": os.uname().nodename,
        "capabilities": to_mask(CAPABILITIES),
    })  # fmt: skip


@pytest.fixture
def plain(haconiwa: Program, run_dirs: RunDirs) -> Iterator[Path]:
    """A haco file as ``new`` writes it, and its root."""
    file = run_dirs.base / "plain.haco"
    haconiwa("new", "-n", NAME, "-s", "host", "-r", run_dirs.base / "root", file)
    haconiwa("create", file)
    yield file
    haconiwa("stop", "-T", "0", NAME, expect=None)


def by_start(haconiwa: Program, file: Path) -> str:
    return haconiwa("start", file, "--", *PYTHON, "-", facts(), stdin=PROBE.read_text(encoding="utf-8")).stdout


def by_attach(haconiwa: Program, file: Path) -> str:
    haconiwa("start", "-D", file, "--", "/bin/sleep", "1000")
    return haconiwa("attach", NAME, "--", *PYTHON, "-", facts(), stdin=PROBE.read_text(encoding="utf-8")).stdout


@pytest.mark.parametrize("way", [by_start, by_attach])
def test_a_plain_container_has_no_hole(haconiwa: Program, plain: Path, way: Callable[[Program, Path], str]) -> None:
    assert json.loads(way(haconiwa, plain)) == {name: [] for name in NAMES}


_LOOSEN = """
import ctypes, json, os, sys
call = ctypes.CDLL(None).syscall
call({keyctl}, 1, 0)
facts = json.loads(sys.argv.pop(1))
facts["keyring"] = call({keyctl}, 0, -3, 0)
loose = ["setpriv", "--inh-caps", "+chown", "--ambient-caps", "+chown", "unshare", "--mount", "--propagation", "shared"]
os.execvp(loose[0], [*loose, *sys.argv[1:], json.dumps(facts)])
"""
"""Joins a session keyring, gives capabilities on, shares its mounts with the host, and goes on as the arguments say."""


def careless() -> None:
    """Make a process what a careless runtime leaves to a container's program."""
    os.setgroups([0, 7])
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.set_inheritable(os.open("/", os.O_RDONLY), True)


@pytest.fixture(scope="module")
def on_the_host() -> dict[str, list[str]]:
    """What the program finds where nothing confines it, in a session keyring that is told to be the host's."""
    argv = [*PYTHON, "-c", _LOOSEN.format(keyctl=NUMBERS["keyctl"]), facts(), *PYTHON, str(PROBE)]
    environ = {**os.environ, "SECRET": "1"}
    with open("/dev/null", encoding="ascii") as null, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as _one_more:
        done = subprocess.run(
            argv, stdin=null, stdout=subprocess.PIPE, text=True, check=True, cwd="/usr", env=environ,
            preexec_fn=careless, close_fds=False,
        )  # fmt: skip
    loose: dict[str, list[str]] = json.loads(done.stdout)
    return loose


@pytest.mark.requires("setpriv")
@pytest.mark.parametrize("name", NAMES)
def test_each_check_can_fail(on_the_host: dict[str, list[str]], name: str) -> None:
    assert on_the_host[name]


@pytest.mark.requires("setpriv")
def test_calls_are_answered_where_nothing_is_filtered(on_the_host: dict[str, list[str]]) -> None:
    assert set(on_the_host["system_calls"]) >= CORE
