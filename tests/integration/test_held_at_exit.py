"""A process inside that holds the first one at its exit, as a debugger may: KILL alone does not end it then.

See: PTRACE_O_TRACEEXIT in ptrace(2)
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import Box, Watched, finish, insist, wait_until

pytestmark = pytest.mark.requires("root")

SCRIPT = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(0x59616d61, ctypes.c_long(-1), 0, 0, 0)  # whoever wants may trace it, where Yama asks for that
read_fd, write_fd = os.pipe()
if os.fork() == 0:
    seize, trace_exit = 0x4206, 0x40
    held = libc.ptrace(seize, 1, None, ctypes.c_void_p(trace_exit)) == 0
    os.write(write_fd, b"held" if held else b"free")
    while True:
        signal.pause()
print(os.read(read_fd, 4).decode(), flush=True)
while True:
    signal.pause()
"""
HELD = ("/usr/bin/python3", "-I", "-c", SCRIPT)


@pytest.fixture
def host(box: Box) -> Box:
    """A container with the host's files."""
    box.write(root=None, independent=("procfs",))
    return box


def start_held(box: Box) -> None:
    """In the background, once it is held."""
    box.haconiwa("start", "-D", box.file, "--", *HELD)
    wait_until(lambda: box.haconiwa("logs", box.name).stdout == "held\n", "it is held")


def test_stop_ends_it(host: Box) -> None:
    start_held(host)
    host.stop()
    host.nothing_left()


def test_stop_ends_an_orphan(host: Box) -> None:
    start_held(host)
    supervisor = Watched(host.state()["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    host.stop()
    host.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_barn(host: Box, number: int) -> None:
    with host.haconiwa.start("start", host.file, "--", *HELD) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        state = host.state()
        first, supervisor = Watched(state["init"]["pid"]), Watched(state["supervisor"]["pid"])
        process.send_signal(number)
        if number == signal.SIGTERM:
            insist(process)
        assert first.ended()
        assert supervisor.ended()
        first.close()
        supervisor.close()
        finish(process, expect=None)
    host.nothing_left()


def test_a_process_of_the_host_in_its_group_lives_on(host: Box) -> None:
    start_held(host)
    other = subprocess.Popen(["sleep", "1000"])
    try:
        for path in host.state()["cgroups"]:
            Path(path, "cgroup.procs").write_text(f"{other.pid}\n")
        error = host.haconiwa("stop", "-T", "0", host.name, expect=125).stderr
        assert "something else put processes into it" in error
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    wait_until(
        lambda: host.haconiwa("start", host.file, "--", "true", expect=None).returncode == 0, "the group is free"
    )


CHAIN = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(0x59616d61, ctypes.c_long(-1), 0, 0, 0)
seize, trace_exit = 0x4206, 0x40
if os.fork() == 0:
    held = 1
    for _ in range(40):  # each one holds the one before it, and whoever ends is replaced by nobody
        read_fd, write_fd = os.pipe()
        mine = os.getpid()
        if os.fork():
            libc.prctl(0x59616d61, ctypes.c_long(-1), 0, 0, 0)
            libc.ptrace(seize, held, None, ctypes.c_void_p(trace_exit))
            os.write(write_fd, b".")
            while True:
                signal.pause()
        os.read(read_fd, 1)
        held = mine
    print("held", flush=True)
    signal.pause()
while True:
    signal.pause()
"""


def test_those_that_hold_it_are_held_themselves(host: Box) -> None:
    host.haconiwa("start", "-D", host.file, "--", "/usr/bin/python3", "-I", "-c", CHAIN)
    wait_until(lambda: host.haconiwa("logs", host.name).stdout == "held\n", "it is held")
    host.haconiwa("stop", "-T", "0", host.name)
    host.nothing_left()


HOLDS_ATTACHED = """
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
print("up", flush=True)
held = set()
while True:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in held and int(name) > 1:
            with open(f"/proc/{name}/comm") as file:
                if file.read() == "sleep\\n" and libc.ptrace(0x4206, int(name), None, ctypes.c_void_p(0x40)) == 0:
                    held.add(int(name))
                    print("held", flush=True)
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_who_attaches_is_not_held_with_the_command(host: Box) -> None:
    """What the container's own program does to a command is told, and nobody waits for it without end."""
    host.haconiwa("start", "-D", host.file, "--", "/usr/bin/python3", "-I", "-c", HOLDS_ATTACHED)
    script = "exec sleep 1000 </dev/null >/dev/null 2>&1"  # it will hold what it has
    with host.haconiwa.start("attach", host.name, "--", "/bin/sh", "-c", script) as process:
        wait_until(lambda: "held" in host.haconiwa("logs", host.name).stdout, "the command is held")
        insist(process)
        _stdout, stderr = finish(process, expect=125)
    assert "its command does not end by KILL: another process inside holds it by ptrace(2)" in stderr
    host.stop()
    host.nothing_left()


ASKS = """
import os

def ask(base):
    print("descriptors:", len(os.listdir("/proc/self/fd")), flush=True)
    base.attach(["/bin/sleep", "1000"])

config.add_async_hook(ask, msec=50, interval_msec=50, timeout_sec=1)
"""


@pytest.mark.slow
def test_a_hook_whose_time_is_over_leaves_nothing_of_such_a_command(host: Box) -> None:
    host.write(root=None, independent=("procfs",), rest=ASKS)
    host.haconiwa("start", "-D", host.file, "--", "/usr/bin/python3", "-I", "-c", HOLDS_ATTACHED)

    def told() -> list[str]:
        log = host.haconiwa("logs", "--supervisor", host.name).stdout
        return [line for line in log.splitlines() if line.startswith("descriptors:")]

    wait_until(lambda: len(told()) >= 4, "it was called four times")
    assert len(set(told()[1:4])) == 1
    host.stop()
    host.nothing_left()
