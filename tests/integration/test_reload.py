"""New limits for running containers."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable

import pytest

from haconiwa.lifecycle.ask import connect
from tests.integration.box import HEEDS_TERM, Box, Watched, finish

pytestmark = pytest.mark.requires("root", "busybox")

WAITS = "sleep 1000 & exec sleep 1000"
RECORD = """
@config.add_general_hook("after_reload")
def reloaded(base):
    base.log("reloaded as " + base.status)
"""


def limit(settings: str, rest: str = "") -> tuple[str, str]:
    return (f'config.resource.set_limit("NOFILE", {settings})', rest)


def limits(box: Box, name: int = resource.RLIMIT_NOFILE) -> set[tuple[int, int]]:
    """Of all processes of a box, as the kernel has them."""
    processes = json.loads(box.haconiwa("inspect", box.name).stdout)[0]["processes"]
    assert len(processes) == 2
    return {resource.prlimit(pid, name) for pid in processes}


def test_every_process_gets_what_the_file_says_now(box: Box) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # not every host lets root raise it again
    box.write(*limit(f"100, {hard}", RECORD))
    box.daemon(WAITS)
    assert limits(box) == {(100, hard)}
    box.write(f'config.resource.set_limit("NOFILE", 50, {hard})\nconfig.workdir = "/tmp"', RECORD)
    done = box.haconiwa("reload", box.name)
    assert done.stdout == f"{box.name}: NOFILE: 100, hard {hard} -> 50, hard {hard}\n"
    assert f"{box.name}: only a start takes over what has changed in workdir\n" in done.stderr
    assert limits(box) == {(50, hard)}
    assert box.attach("sh", "-c", "ulimit -n").stdout == "50\n"
    assert "no limit has changed" in box.haconiwa("reload", box.file).stderr
    box.write()
    assert box.haconiwa("reload", box.name).stdout == f"{box.name}: NOFILE: 50, hard {hard} -> not set\n"
    assert limits(box) == {resource.getrlimit(resource.RLIMIT_NOFILE)}
    with open(f"{os.environ['HACONIWA_LOG_DIR']}/{box.name}.supervisor.log", encoding="utf-8") as log:
        assert log.read().count("reloaded as running") == 3
    box.stop()


def test_a_wrong_file_changes_nothing(box: Box) -> None:
    box.write(*limit("100, 200"))
    box.daemon(WAITS)
    for bad in ("config.resource.set_limit('NOFILE', -5)", "1 / 0", "config.nothing = 1"):
        box.write(bad)
        assert box.haconiwa("reload", box.name, expect=2).stdout == ""
        assert limits(box) == {(100, 200)}
    box.write('config.resource.set_limit("NOFILE", 10, 10)\nconfig.resource.set_limit("NPROC", 1 << 62)')
    box.write(*limit("50"))
    box.haconiwa("reload", "-n", "another", box.name, expect=125)
    box.file.write_text(box.file.read_text().replace(box.name, "another"))
    assert "does not describe it any more" in box.haconiwa("reload", box.name, expect=125).stderr
    assert limits(box) == {(100, 200)}
    box.stop()
    assert "cannot find" in box.haconiwa("reload", box.name, expect=125).stderr


def test_what_the_kernel_refuses_for_one_is_undone_for_all(box: Box) -> None:
    box.write(*limit("100, 200"))
    box.daemon(WAITS)
    # more open files than fs.nr_open lets anybody have
    box.write('config.resource.set_limit("FSIZE", 5)\nconfig.resource.set_limit("NOFILE", 1 << 40)')
    done = box.haconiwa("reload", box.name, expect=125)
    assert done.stdout == ""
    fsize, nofile, refused = done.stderr.splitlines()[:3]
    line = next(n for n, text in enumerate(box.file.read_text().splitlines(), 1) if '"NOFILE"' in text)
    changes = f"NOFILE: 100, hard 200 -> {1 << 40}, hard {1 << 40}"
    assert nofile == f"{box.name}: not changed: {changes} ({box.file}:{line})"
    assert fsize.startswith(f"{box.name}: not changed: FSIZE: not set -> 5, hard 5 ({box.file}:")
    assert "cannot set the limits FSIZE NOFILE" in refused
    assert limits(box) == {(100, 200)}
    assert limits(box, resource.RLIMIT_FSIZE) == {resource.getrlimit(resource.RLIMIT_FSIZE)}
    box.stop()


@pytest.mark.setting("support_reload")
def test_what_support_reload_does_not_name_stays(box: Box) -> None:
    box.write('config.support_reload("cgroup")')
    box.daemon(WAITS)
    before = limits(box)
    box.write('config.support_reload("cgroup", "resource")\nconfig.resource.set_limit("NOFILE", 50)')
    refused = box.haconiwa("reload", box.name, expect=125)
    assert "cannot change resource by a reload: its support_reload allows cgroup" in refused.stderr
    events = [json.loads(line) for line in box.haconiwa("events", "--json", box.name).stdout.splitlines()]
    (failed,) = [event["error"] for event in events if event["event"] == "reload_failed"]
    assert failed.startswith(f"{box.name}: cannot change resource by a reload: ")
    assert limits(box) == before
    box.stop()


def test_a_failing_hook_is_told_when_it_is_to_abort(box: Box) -> None:
    hook = 'config.add_general_hook("after_reload", lambda base: 1 / 0, on_error={!r})'
    box.write(rest=hook.format("abort"))
    box.daemon(WAITS)
    box.write('config.resource.set_limit("CORE", 5)')
    refused = box.haconiwa("reload", box.name, expect=125)
    assert "ZeroDivisionError" in refused.stderr
    assert (refused.stdout, "not changed" in refused.stderr) == (f"{box.name}: CORE: not set -> 5, hard 5\n", False)
    box.stop()


def hear(box: Box, kind: str, act: Callable[[], None]) -> dict[str, object]:
    """The first event of a kind after something was done."""
    with connect(box.name, 20) as listener:
        listener.send(b'{"do": "events"}')
        listener.recv(1000)
        act()
        while True:
            event: dict[str, object] = json.loads(listener.recv(65536))
            if event["event"] == kind:
                return event


def test_sighup_reloads_a_daemon_and_a_storm_of_them_is_one(box: Box) -> None:
    box.write('config.support_reload("resource")\n' + limit("100, 200")[0])
    state = box.daemon(WAITS)
    supervisor = state["supervisor"]["pid"]

    box.write(*limit("50, 150"))
    assert hear(box, "reloaded", lambda: os.kill(supervisor, signal.SIGHUP))["changes"]
    assert limits(box) == {(50, 150)}

    for wrong in ("1 / 0", 'config.cgroup["pids.max"] = 50'):
        box.write(wrong)
        hear(box, "reload_failed", lambda: os.kill(supervisor, signal.SIGHUP))
    assert limits(box) == {(50, 150)}

    def storm() -> None:
        for _ in range(2000):
            os.kill(supervisor, signal.SIGHUP)

    box.write(*limit("60, 150"))
    hear(box, "reloaded", storm)
    box.write(*limit("70, 150"))
    os.kill(supervisor, signal.SIGHUP)
    hear(box, "reloaded", lambda: os.kill(supervisor, signal.SIGHUP))
    events = box.haconiwa("events", box.name).stdout
    assert events.count(" reloaded ") < 12
    assert limits(box) == {(70, 150)}
    assert box.state()["init"] == state["init"]
    box.stop()


def test_sighup_ends_a_container_in_the_foreground(box: Box) -> None:
    with box.background(f"echo up; {HEEDS_TERM}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        watched = Watched(box.state()["supervisor"]["pid"])
        watched.kill(signal.SIGHUP)
        assert watched.ended()
        watched.close()
        finish(process, expect=4)
