"""System calls that functions of the haco file decide."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.box import Box, Watched

pytestmark = pytest.mark.requires("root", "busybox")

FUNCTIONS = """
def path_of(call):
    return call.read_string(call.args[0 if call.name == "mkdir" else 1])

@rule.notify("mkdir", "mkdirat")
def make(call):
    path = path_of(call)
    print("told", call.name.removesuffix("at"), call.abi == os.uname().machine, call.pid > 1, path)
    word = path.rpartition("/")[2]
    if word == "raises":
        raise RuntimeError("no idea")
    if word == "nonsense":
        return None
    if word == "reads":
        try:
            call.read_memory(0, 8)
        except OSError:
            return "ENOTEMPTY"
    return {"error": "EROFS", "value": 0, "real": "continue"}[word]

rule.notify("mount", handler=lambda call: 0)
"""


def written(box: Box) -> None:
    box.write("rule = config.seccomp.filter()", FUNCTIONS)


def test_answers(box: Box) -> None:
    written(box)
    script = """
        for word in error value real raises nonsense reads; do mkdir /tmp/$word; echo $word $?; done
        ls /tmp; mount -t tmpfs none /mnt && echo mounted
    """
    done = box.run("/bin/sh", "-c", script)
    words = "error 1 value 0 real 0 raises 1 nonsense 1 reads 1 real mounted".split()
    said = [line for line in done.stdout.splitlines() if not line.startswith("told")]
    assert " ".join(said).split() == words
    assert "told mkdir True True /tmp/error" in done.stdout + done.stderr
    assert "can't create directory '/tmp/error': Read-only file system" in done.stderr
    assert "can't create directory '/tmp/raises': Operation not permitted" in done.stderr
    assert "can't create directory '/tmp/reads': Directory not empty" in done.stderr
    assert 'the handler "make" of the system call' in done.stderr
    assert "RuntimeError: no idea" in done.stderr
    assert "it returned None, not the name of an error, a value, or 'continue'" in done.stderr


def test_attached_programs_are_not_heard(box: Box) -> None:
    written(box)
    box.daemon()
    assert "Function not implemented" in box.attach("mkdir", "/tmp/real", expect=1).stderr
    box.stop()


def test_without_a_supervisor_calls_fail(box: Box) -> None:
    written(box)
    state = box.daemon('trap "mkdir /tmp/real 2>/tmp/said; echo >/tmp/done" USR1; while :; do sleep 0.05; done')
    supervisor, init = Watched(state["supervisor"]["pid"]), state["init"]["pid"]
    supervisor.kill()
    assert supervisor.ended()
    supervisor.close()
    os.kill(init, signal.SIGUSR1)
    script = "while ! [ -e /tmp/done ]; do sleep 0.05; done; cat /tmp/said"
    assert "Function not implemented" in box.attach("/bin/sh", "-c", script).stdout
    box.haconiwa("stop", "-T", "0", box.name)


def test_a_caller_that_is_killed_while_it_waits(box: Box) -> None:
    rest = """
    @config.seccomp.filter().notify("mkdir", "mkdirat")
    def make(call):
        os.kill(call.pid, 9)
        return 0
    """
    box.write("", rest)
    assert box.sh("mkdir /tmp/x; echo $?; echo alive").split() == ["137", "alive"]


def test_a_program_cannot_flood_the_events_with_failures_of_the_handler(box: Box) -> None:
    rest = """
    @config.seccomp.filter().notify("mkdir", "mkdirat")
    def make(call):
        raise ValueError("no")
    """
    box.write("", rest)
    loop = "i=0; while [ $i -lt 200 ]; do mkdir /tmp/x 2>/dev/null || i=$((i+1)); done; echo $i"
    started = box.run("/bin/sh", "-c", loop)
    assert started.stdout == "200\n"
    assert 1 <= len(box.events("hook_failed")) < 150
    assert started.stderr.count("ValueError: no") < 150
