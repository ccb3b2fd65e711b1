"""A process inside that holds the first one at its exit, as a debugger may: KILL alone does not end it then.

See: PTRACE_O_TRACEEXIT in ptrace(2)
"""

from __future__ import annotations

import signal

import pytest

from tests.integration.box import Box, Watched, finish, wait_until

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
            process.send_signal(signal.SIGINT)
        assert first.ended()
        assert supervisor.ended()
        first.close()
        supervisor.close()
        finish(process, expect=None)
    host.nothing_left()
