"""The control socket and the events of real containers."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.ask import ask, connect
from tests.integration.box import HEEDS_TERM, Box, Watched, finish, wait_until
from tests.integration.test_cgroup_hooks import FILLS_MEMORY
from tests.integration.test_cgroups import needs

pytestmark = pytest.mark.requires("root", "busybox")


def last_exit(box: Box) -> dict[str, Any]:
    exit_event = box.events("exited")[-1]
    return {key: value for key, value in exit_event.items() if key not in ("time", "name", "event")}


def test_a_life_and_how_it_ended(box: Box) -> None:
    box.run("/bin/sh", "-c", "exit 7", expect=7)
    assert [event["event"] for event in box.events()] == ["created", "started", "exited", "removed"]
    assert last_exit(box) == {"exit_status": 7, "reason": "exit"}
    box.fails("nothing-of-the-kind", expect=127)
    failed = box.events()[-2]
    assert (failed["event"], failed["exit_status"]) == ("failed", 127)
    assert "nothing-of-the-kind" in failed["error"]


def test_who_ended_it(box: Box) -> None:
    box.daemon("exec sleep 1000")
    box.stop()
    ended = last_exit(box)
    assert (ended["reason"], ended["signal"]) == ("signal", "SIGKILL")
    assert ended["by"].startswith("haconiwa stop (pid ")

    state = box.daemon("exec sleep 1000")
    watched = Watched(state["supervisor"]["pid"])
    os.kill(state["init"]["pid"], signal.SIGKILL)
    assert watched.ended()
    watched.close()
    assert last_exit(box) == {"exit_status": 137, "reason": "signal", "signal": "SIGKILL"}

    box.write(rest='config.add_async_hook(lambda base: base.kill("KILL"), msec=1)')
    box.run("sleep", "1000", expect=137)
    assert last_exit(box) == {"exit_status": 137, "reason": "signal", "signal": "SIGKILL", "by": "a hook"}


def test_one_that_did_not_heed_term_in_time(box: Box) -> None:
    state = box.daemon("trap '' TERM; trap : USR1; while :; do sleep 0.05; done")
    watched = Watched(state["supervisor"]["pid"])
    assert ask(box.name, {"do": "stop", "timeout_s": 0.01}) == {"ok": True}
    assert watched.ended()
    watched.close()
    ended = last_exit(box)
    assert (ended["reason"], ended["signal"], ended["exit_status"]) in [
        ("timeout", "SIGKILL", 137), ("signal", "SIGKILL", 137),  # an ignored TERM has no effect: KILL at once
    ]  # fmt: skip


def test_one_that_stop_had_to_kill(box: Box) -> None:
    box.daemon("trap : TERM; echo up >/up; while :; do sleep 0.05; done")
    wait_until((box.root / "up").exists, "it has its handler")
    box.haconiwa("stop", "-T", "0.1", box.name)
    ended = last_exit(box)
    assert (ended["reason"], ended["signal"]) == ("timeout", "SIGKILL")
    assert ended["by"].startswith("haconiwa stop (pid ")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["haconiwa stop", "SIGTERM to the supervisor"])
def test_one_that_never_gets_a_handler_is_killed_after_the_usual_time(box: Box, by: str) -> None:
    watched = Watched(box.daemon("exec sleep 1000")["supervisor"]["pid"])
    if by == "haconiwa stop":
        assert "has no handler for TERM, sending KILL" in box.haconiwa("stop", box.name).stderr
    else:
        watched.kill(signal.SIGTERM)
    assert watched.ended()
    watched.close()
    ended = last_exit(box)
    assert (ended["signal"], ended["exit_status"]) == ("SIGKILL", 137)
    assert ended["reason"] in ("signal", "timeout")  # no handler, or too late: the supervisor comes to both at once
    assert ended["by"].startswith(by)


def test_readiness(box: Box) -> None:
    box.write(rest="config.add_readiness_hook(lambda base, ok: True, interval_msec=10)")
    box.haconiwa("start", "-D", "--wait-ready", box.file, "--", "sleep", "1000")
    box.stop()
    assert [event["event"] for event in box.events()] == ["created", "started", "ready", "exited", "removed"]
    box.write(rest="config.add_readiness_hook(lambda base, ok: False, timeout=1, interval_msec=10)")
    box.daemon()
    wait_until(lambda: box.events("not_ready"), "it is given up")


def test_requests(box: Box) -> None:
    state = box.daemon(HEEDS_TERM)
    status = ask(box.name, {"do": "status"})
    assert (status["status"], status["pid"], status["supervisor_pid"], status["stopping"]) == (
        "running", state["init"]["pid"], state["supervisor"]["pid"], False,
    )  # fmt: skip
    with pytest.raises(ContainerError, match=r'refuses "dance": cannot "dance": it takes status'):
        ask(box.name, {"do": "dance"})
    with connect(box.name, 20) as listener:
        listener.send(b'{"do": "events"}')
        assert json.loads(listener.recv(1000)) == {"ok": True}
        ask(box.name, {"do": "stop"})
        heard = [json.loads(packet) for packet in iter(lambda: listener.recv(1000), b"")]
    assert [event["event"] for event in heard] == ["exited", "removed"]
    assert heard[0]["exit_status"] == 4
    assert "a request of pid" in heard[0]["by"]
    with pytest.raises(ContainerError, match="cannot ask its supervisor"):
        ask(box.name, {"do": "status"})


def test_follow(box: Box) -> None:
    process = box.haconiwa.start("events", "-f", box.name)
    assert process.stdout is not None
    try:
        box.run("true")
        seen = [process.stdout.readline() for _ in range(4)]
    finally:
        process.terminate()
        finish(process, expect=None)
    assert [line.split()[3] for line in seen] == ["created", "started", "exited", "removed"]
    assert seen[2].split()[2:] == [box.name, "exited", "exit_status=0", "reason=exit"]


def test_failed_hooks_are_events(box: Box) -> None:
    box.write(rest='config.add_general_hook("before_start_wait", lambda base: 1 / 0)')
    box.run("true")
    assert "division by zero" in box.events("hook_failed")[0]["error"]


@pytest.mark.parametrize("point", ["before_fork", "after_fork", "before_chroot", "after_chroot", "teardown_container"])
def test_hooks_that_may_fail_are_events_wherever_they_run(box: Box, point: str) -> None:
    box.write(rest=f'config.add_general_hook({point!r}, lambda base: 1 / 0, on_error="continue")')
    said = box.run("true").stderr
    (failed,) = box.events("hook_failed")
    assert failed["error"].startswith(f'the {point} hook "<lambda>" failed: ZeroDivisionError') or (
        failed["error"].startswith(f'{box.name}: the {point} hook "<lambda>" failed: ZeroDivisionError')
    )
    assert said.count("ZeroDivisionError") == 1


def test_who_sent_a_signal_with_haconiwa_kill(box: Box) -> None:
    box.daemon("exec sleep 1000")
    box.haconiwa("kill", "-s", "SYS", "-T", "0", box.name, expect=None)  # nobody heeds it
    box.haconiwa("kill", "-s", "KILL", box.name, expect=None)
    wait_until(lambda: not box.run_dir.exists(), "it is gone")
    ended = last_exit(box)
    assert ended["reason"] == "signal"
    assert re.fullmatch(r"haconiwa kill \(pid \d+, uid 0\)", ended["by"])


@pytest.mark.layouts
@pytest.mark.parametrize("survives", [True, False])
def test_memory_used_up_without_a_hook(box: Box, survives: bool) -> None:
    needs("memory")
    box.write('config.cgroup["memory.max"] = "24M"\nconfig.cgroup["memory.swap.max"] = 0')
    if survives:
        assert box.sh(f"{FILLS_MEMORY}; echo survived") == "survived\n"
    else:
        box.run("/bin/sh", "-c", "exec tail -c 200000000 </dev/zero", expect=137)
    told = [event["event"] for event in box.events()]
    assert told in (
        ["created", "started", "oom", "exited", "removed"],
        ["created", "started", "oom", "oom", "exited", "removed"],
    )
    assert box.events("oom")[0]["count"] >= 1
    assert last_exit(box)["reason"] == ("exit" if survives else "oom")


def test_a_system_call_that_its_filter_kills_for(box: Box) -> None:
    box.write('config.seccomp.filter(default="allow").kill("sethostname")')
    box.run("hostname", "new", expect=128 + signal.SIGSYS)
    assert last_exit(box)["reason"] == "seccomp"


def test_the_end_of_one_whose_supervisor_was_killed(box: Box) -> None:
    """Whoever clears up says that it is gone."""
    watched = Watched(box.daemon()["supervisor"]["pid"])
    watched.kill()
    assert watched.ended()
    watched.close()
    assert [event["event"] for event in box.events()] == ["created", "started"]
    box.stop()
    assert box.events()[-1]["event"] == "removed"
    assert box.events()[-1]["why"] == "its supervisor was killed"
