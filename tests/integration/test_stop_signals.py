"""Signals to those who look after a container: to one process, to all of a group, once and again."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pexpect
import pytest

from haconiwa.lifecycle.stop import heeds
from tests.integration.box import Box, finish, insist, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

CLEAN = "trap 'sleep 0.3; echo clean >>/tmp/ends; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
BARN = """\
from haconiwa import define
with define() as barn:
    barn.chroot_to({root!r})
    barn.namespace.unshare("mount", "pid")
    for letter in "ab":
        with barn.define() as c:
            c.name = "{name}" + letter
            c.init_command = ["/bin/sh", "-c", {program!r}, letter]
            if letter == "b":
                c.after, c.condition = "{name}a", "started"
"""
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def ends(box: Box) -> str:
    return (box.root / "tmp/ends").read_text()


@pytest.fixture(autouse=True)
def nothing_written(box: Box) -> None:
    (box.root / "tmp/ends").unlink(missing_ok=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_group_is_one_request(box: Box, number: int) -> None:
    with box.haconiwa.start("start", box.file, "--", "/bin/sh", "-c", CLEAN, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, number)
        process.send_signal(number)  # as timeout(1) does: to the process, and then to its group
        finish(process)
    assert ends(box) == "clean\n"


def test_a_signal_to_supervisor_and_barn_is_one_request(box: Box) -> None:
    """As from somebody who ends everything in a control group."""
    with box.haconiwa.start("start", box.file, "--", "/bin/sh", "-c", CLEAN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(box.state()["supervisor"]["pid"], signal.SIGTERM)
        process.terminate()
        finish(process)
    assert ends(box) == "clean\n"


def test_who_insists_does_not_wait(box: Box) -> None:
    with box.haconiwa.start("start", box.file, "--", "/bin/sh", "-c", STUBBORN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        insist(process)
        finish(process, expect=137)
    assert box.events("exited")[0]["reason"] == "signal"


def test_ctrl_c_where_the_output_goes_through_a_pipe(box: Box) -> None:
    line = shlex.join([box.haconiwa.path, "start", str(box.file), "--", "/bin/sh", "-c", CLEAN]) + " | cat"
    environ = box.haconiwa.environ()
    child: pexpect.spawn[str] = pexpect.spawn("/bin/sh", ["-c", line], encoding="utf-8", env=environ, timeout=20)
    child.expect("ready")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert ends(box) == "clean\n"


def test_ctrl_c_keeps_the_order_of_several(box: Box) -> None:
    """Those that come after others end first, also where the terminal signals all of the group."""
    program = "trap 'sleep 0.2; echo $0 >>/tmp/ends; exit 0' TERM; echo $0; while :; do sleep 0.01; done"
    box.file.write_text(BARN.format(root=str(box.root), name=box.name, program=program))
    with box.haconiwa.start("start", box.file, start_new_session=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in "ab"] == ["a\n", "b\n"]
        os.killpg(process.pid, signal.SIGINT)
        finish(process)
    assert ends(box) == "b\na\n"


def test_nohup(box: Box) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with box.haconiwa.start("start", box.file, "--", "/bin/sh", "-c", CLEAN, preexec_fn=ignore) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        os.kill(box.state()["supervisor"]["pid"], signal.SIGHUP)
        assert box.status() == "running"
        process.terminate()
        finish(process)
    assert [event["by"] for event in box.events("exited")] == ["SIGTERM to the supervisor"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_attach_passes_a_signal_on(box: Box, number: int) -> None:
    box.daemon()
    script = f"trap 'echo heard; exit 9' {number}; echo ready; while :; do sleep 0.01; done"
    with box.haconiwa.start("attach", box.name, "--", "/bin/sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert finish(process, expect=9)[0] == "heard\n"
    box.stop()


def test_attach_kills_what_does_not_heed_one(box: Box) -> None:
    box.daemon()
    with box.haconiwa.start("attach", box.name, "--", "/bin/sh", "-c", "trap '' INT; " + STUBBORN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        insist(process)
        finish(process, expect=137)
    box.stop()


def test_attach_is_interrupted_while_its_command_cannot_begin(box: Box) -> None:
    """As in a frozen group, where the child waits without end."""
    box.daemon()
    frozen = next((path for path in map(Path, box.state()["cgroups"]) if (path / "cgroup.freeze").exists()), None)
    if frozen is None:
        pytest.skip("no group of the second version")
    (frozen / "cgroup.freeze").write_text("1")
    try:
        with box.haconiwa.start("attach", box.name, "--", "true") as process:
            wait_until(lambda: heeds(process.pid, signal.SIGWINCH), "it listens")
            process.send_signal(signal.SIGTERM)
            finish(process, expect=128 + signal.SIGTERM)
    finally:
        (frozen / "cgroup.freeze").write_text("0")
    box.stop()
