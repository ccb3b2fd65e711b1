"""Readiness, health, restarts, and what hooks can do with the live container."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from haconiwa.kernel.mount import AT_FDCWD, MNT, MOUNT_ATTR, MS, mount, mount_setattr, umount2
from tests.integration.box import HEEDS_TERM, NAMESPACES, Box, Watched, finish, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

NET = (*NAMESPACES, "net")


def supervisor_log(box: Box) -> str:
    return (Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}.supervisor.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("probe", "script"),
    [
        ("port=8080", "sleep 0.1; exec nc -l -p 8080"),
        ("port=8081", "ip link set lo up; sleep 0.1; exec httpd -f -p [::1]:8081"),
        ('file="/tmp/there"', "sleep 0.1; touch /tmp/there; exec sleep 1000"),
        ('exec=["/bin/sh", "-c", "test -e /tmp/there && test $$ -gt 1"], interval_msec=20',
         "sleep 0.1; touch /tmp/there; exec sleep 1000"),
        ('http="http://localhost:8082/up"',
         "ip link set lo up; mkdir /tmp/www; echo x > /tmp/www/up; exec httpd -f -p 8082 -h /tmp/www"),
    ],
)  # fmt: skip
def test_wait_ready_returns_when_it_is(box: Box, probe: str, script: str) -> None:
    box.write(rest=f"config.add_readiness_hook({probe})", namespaces=NET)
    (box.root / "tmp" / "there").unlink(missing_ok=True)
    done = box.haconiwa("start", "-D", "--wait-ready", box.file, "--", "/bin/sh", "-c", script)
    assert done.stderr.startswith(f"{box.name}: pid=")
    assert len(box.events("ready")) == 1
    box.stop()


def test_what_is_never_ready_fails_the_start(box: Box) -> None:
    box.write(rest='config.add_readiness_hook(port=1, timeout=1)\nconfig.add_readiness_hook(file="/tmp")')
    failed = box.haconiwa("start", "-D", "--wait-ready", box.file, "--", "/bin/sh", "-c", HEEDS_TERM, expect=125)
    assert f"error: {box.name}: did not get ready in time" in failed.stderr
    box.nothing_left()


@pytest.mark.setting("add_readiness_hook")
def test_the_function_of_a_readiness_hook_decides(box: Box) -> None:
    box.write(
        rest="""
        seen = []
        @config.add_readiness_hook(file="/tmp", interval_msec=1)
        def third_time(base, ok):
            seen.append(ok)
            if len(seen) == 3:
                base.log(f"saw {seen} as {base.status}")
            return len(seen) == 3
        @config.add_readiness_hook
        async def alone(base, ok):
            base.log(f"alone {ok}")
            return True
        """
    )
    box.haconiwa("start", "-D", "--wait-ready", box.file, "--", "sleep", "1000")
    log = supervisor_log(box)
    assert "saw [True, True, True] as running" in log
    assert log.count("alone False") == 1
    assert box.haconiwa("inspect", box.name).stdout.count('"health": "ready"') == 1
    box.stop()


@pytest.mark.parametrize(("action", "ends"), [('"stop"', True), ('"none"', False), ("lambda base: base.stop()", True)])
@pytest.mark.setting("healthcheck")
def test_health_check(box: Box, action: str, ends: bool) -> None:
    box.write(
        rest=f"""
        answers = [True, False, True, False, False, True] + [False] * 100
        @config.healthcheck(interval_sec=1, retries=2, action={action})
        def look(base):
            return answers.pop(0)
        """
    )
    state = box.daemon(HEEDS_TERM)
    watched = Watched(state["supervisor"]["pid"])
    if ends:
        assert watched.ended()
        assert box.events("exited")[0]["by"] in ("the health check", "a hook")
    else:
        wait_until(lambda: len(box.events("unhealthy", "healthy")) == 2, "unhealthy, then healthy again")
        box.stop()
    watched.close()
    assert [event["event"] for event in box.events("unhealthy", "healthy")][:2] == ["unhealthy", "healthy"][: 2 - ends]


def test_an_unhealthy_container_is_started_again(box: Box) -> None:
    box.write(
        rest="""
        config.healthcheck(file="/tmp/healthy", interval_sec=1, retries=1)
        config.restart_policy("no", backoff_sec=0)
        """
    )
    box.daemon("[ -e /tmp/again ] && touch /tmp/healthy; touch /tmp/again; " + HEEDS_TERM)
    wait_until(lambda: len(box.events("started")) == 2, "a second start")
    assert box.events("restarting")[0]["delay_s"] == 0
    wait_until(lambda: box.status() == "running", "it runs again")
    box.stop()
    box.nothing_left()


@pytest.mark.setting("restart_policy")
def test_restarts_until_there_were_enough(box: Box) -> None:
    box.write(
        rest="""
        config.restart_policy("on-failure", max_retries=3, backoff_sec=0)
        for point in ("before_fork", "before_chroot", "before_start_wait", "teardown_container"):
            config.add_general_hook(point, lambda base, point=point: print(point, base.status, base.exit_status))
        """
    )
    result = box.run("/bin/sh", "-c", "echo run; exit 3", expect=3)
    assert result.stdout == "run\n" * 4
    assert re.findall(r"(?m)^before_fork .*", result.stderr) == ["before_fork creating None"] * 4
    assert re.findall(r"(?m)^teardown_container .*", result.stderr) == ["teardown_container stopped 3"] * 4
    assert len(box.events("restarting")) == 3
    assert box.sh("exit 0") == ""
    box.nothing_left()


def test_stop_and_kill_end_what_would_be_started_again(box: Box) -> None:
    box.write(rest='config.restart_policy("always", backoff_sec=0)')
    for command in (("stop", "-T", "0"), ("kill", "-s", "KILL")):
        box.daemon("exec sleep 1000")
        box.haconiwa(*command, box.name)
        box.nothing_left()
    assert box.events("restarting") == []


def test_stop_during_the_pause_before_a_start(box: Box) -> None:
    box.write(rest='config.restart_policy("always", backoff_sec=3600)')
    box.haconiwa("start", "-D", box.file, "--", "true")
    wait_until(lambda: box.status() == "restarting", "the pause")
    box.stop()
    box.nothing_left()


def test_a_hook_runs_a_command_in_the_container(box: Box) -> None:
    box.write(
        rest="""
        @config.add_general_hook("before_start_wait")
        def started(base):
            done = base.attach(["/bin/sh", "-c", "hostname; cat; echo oops >&2; echo $$; exit 5"], stdin=b"typed ")
            print("attached", done.exit_status, done.stdout.split()[:2], done.stderr.strip())
            print("missing", base.attach(["/no/such"]).exit_status)
            try:
                base.attach(["/bin/sleep", "1000"], timeout_sec=0.05)
            except TimeoutError as error:
                print("late:", error)
            try:
                base.attach(["/bin/sh", "-c", "while :; do echo x; done"], timeout_sec=0.2)
            except TimeoutError as error:
                print("endless:", error)
            print("inside", base.attach(["/bin/sh", "-c", "ps -o stat | grep -c Z"]).stdout.strip())
            base.stop()

        @config.add_general_hook("teardown_container")
        def ended(base):
            try:
                base.attach(["true"])
            except ProcessLookupError as error:
                print("ended:", error)
        """
    )
    said = box.run("/bin/sh", "-c", HEEDS_TERM, expect=4).stderr
    assert f"attached 5 ['{box.name}', 'typed'] oops" in said
    assert "missing 127" in said
    assert "late: the command still runs after 0.05 s" in said
    assert "endless: the command still runs after 0.2 s" in said
    assert "inside 0" in said  # nor a dead one that nobody inside could reap
    assert f"ended: {box.name} is not running" in said


@pytest.mark.parametrize(
    "point", ["setup", "before_fork", "immediately_after_fork_on_parent", "before_chroot", "after_chroot"]
)
def test_a_hook_that_takes_too_long_is_interrupted(box: Box, point: str) -> None:
    box.write(
        rest=f"""
        import time
        config.add_general_hook({point!r}, lambda base: time.sleep(1000), timeout_sec=1)
        """
    )
    assert f'the {point} hook "<lambda>" was interrupted: it took longer than 1 s' in box.fails("true")
    box.nothing_left()


def test_timers_and_handlers_have_time_limits_too(box: Box) -> None:
    box.write(
        rest="""
        import time
        config.add_async_hook(lambda base: time.sleep(1000), msec=1, timeout_sec=1)
        config.add_async_hook(lambda base: base.stop(), sec=2)
        """
    )
    said = box.run("/bin/sh", "-c", HEEDS_TERM, expect=4).stderr
    assert 'the async hook "<lambda>" was interrupted: it took longer than 1 s' in said


@pytest.mark.parametrize(
    "harm",
    [
        "os.chdir('/tmp')", "os.umask(0o777)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.set_wakeup_fd(-1)", "sys.exit(0)", "os.fork()", "os.fork() or sys.exit(3)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
    ],
)  # fmt: skip
def test_what_a_hook_does_to_its_process_is_undone(box: Box, harm: str) -> None:
    box.write(
        rest=f"""
        import signal, sys
        config.add_general_hook("before_start_wait", lambda base: {harm})
        config.add_async_hook(lambda base: print("still", os.getcwd(), oct(os.umask(0o22))), msec=1)
        """
    )
    state = box.daemon(HEEDS_TERM)
    watched = Watched(state["supervisor"]["pid"])
    wait_until(lambda: "still" in supervisor_log(box), "the timer")
    assert "still / 0o22" in supervisor_log(box)
    assert supervisor_log(box).count("going to wait") == 1
    watched.kill(15)
    assert watched.ended()
    watched.close()
    box.nothing_left()


BARN = """\
from haconiwa import define
with define() as barn:
    barn.daemonize()
    barn.namespace.unshare("pid", "mount")
    barn.chroot_to({root!r})
    barn.container_pid_file = {pid_file!r}
{children}
"""


def barn(box: Box, *children: str) -> Path:
    """A file with several containers; each is given by lines that set something on ``c``."""
    blocks = []
    for number, lines in enumerate(children):
        indented = "".join(f"        {line}\n" for line in lines.splitlines())
        blocks.append(
            f"    with barn.define() as c:\n        c.name = '{box.name}-{number}'\n"
            f"        c.container_pid_file = {str(box.folder / f'{number}.pid')!r}\n"
            f"        c.init_command = {['/bin/sh', '-c', HEEDS_TERM]!r}\n{indented}"
        )
    text = BARN.format(root=str(box.root), pid_file=str(box.folder / "barn.pid"), children="".join(blocks))
    box.file.write_text(text, encoding="utf-8")
    return box.file


def order(haconiwa: Program, box: Box, kind: str) -> list[int]:
    lines = haconiwa("events", "--json").stdout.splitlines()
    found = [event for event in map(json.loads, lines) if event["event"] == kind]
    return [int(event["name"].rpartition("-")[2]) for event in found if event["name"].startswith(f"{box.name}-")]


@pytest.mark.setting("after", "condition")
def test_a_barn_starts_in_order_of_readiness_and_stops_in_reverse(box: Box) -> None:
    file = barn(
        box,
        f"c.after = ['{box.name}-2', '{box.name}-1']",
        f"c.after = '{box.name}-2'\nc.condition = 'started'",
        "c.add_readiness_hook(file='/bin', timeout=10)",
    )
    box.haconiwa("start", "--wait-ready", file)
    assert order(box.haconiwa, box, "created") == [2, 1, 0]
    pid = int((box.folder / "barn.pid").read_text())
    watched = Watched(pid)
    watched.kill(15)
    assert watched.ended()
    watched.close()
    assert order(box.haconiwa, box, "exited") == [0, 1, 2]
    box.haconiwa("start", "--wait-ready", file)
    box.haconiwa("stop", file)
    assert order(box.haconiwa, box, "exited") == [0, 1, 2, 0, 1, 2]


def test_one_of_a_barn_may_share_the_network_of_another_that_is_just_starting(box: Box) -> None:
    slow = "c.namespace.unshare('net'); c.add_general_hook('before_fork', lambda base: __import__('time').sleep(0.3))"
    box.haconiwa("start", barn(box, f"c.network.share('{box.name}-1')", slow))
    rows = {row["name"]: row["pid"] for row in json.loads(box.haconiwa("ps", "--json").stdout)}
    assert len(rows) == 2
    assert len({os.readlink(f"/proc/{pid}/ns/net") for pid in (*rows.values(), "self")}) == 2
    box.haconiwa("stop", "-T", "0", f"{box.name}-0")
    box.haconiwa("stop", "-T", "0", f"{box.name}-1")


def test_a_failed_start_in_a_barn_stops_the_rest_and_is_named(box: Box) -> None:
    file = barn(box, "", f"c.after = '{box.name}-0'\nc.init_command = '/no/such'", f"c.after = '{box.name}-1'")
    failed = box.haconiwa("start", file, expect=127)
    assert f'error: {box.name}-1: cannot execute "/no/such"' in failed.stderr
    assert f"{box.name}-2" not in failed.stderr
    assert order(box.haconiwa, box, "created") == [0, 1]
    assert json.loads(box.haconiwa("ps", "--json").stdout) == []


def test_who_waits_for_one_that_ends_unready_is_not_started(box: Box) -> None:
    file = barn(box, "c.init_command = '/bin/true'\nc.add_readiness_hook(port=1)", f"c.after = '{box.name}-0'")
    failed = box.haconiwa("start", file, expect=125)
    assert failed.stderr.splitlines() == [
        f"error: {box.name}-0: has ended before it was ready",
        f'error: {box.name}-1: was not started: it comes after "{box.name}-0"',
    ]


def test_who_waits_for_one_that_is_started_again_is_started_in_the_end(box: Box) -> None:
    """Its first run ends, its second start fails, and its third run is ready."""
    again = """c.init_command = ['/bin/sh', '-c', '[ -e /again ] || { touch /again; exit 3; }; exec sleep 1000']
starts = []
def fail_once(base):
    starts.append(base)
    assert len(starts) != 2
c.add_general_hook('before_fork', fail_once)
c.add_readiness_hook(lambda base, ok: len(starts) == 3, interval_msec=10)
c.restart_policy('always', backoff_sec=0, max_retries=2)"""
    file = barn(box, again, f"c.after = '{box.name}-0'")
    box.haconiwa("start", "--wait-ready", file)
    assert order(box.haconiwa, box, "failed") == [0]
    assert order(box.haconiwa, box, "started") == [0, 0, 1]
    box.haconiwa("stop", "-T", "0", file)


def test_one_of_a_barn_alone(box: Box) -> None:
    file = barn(box, "", f"c.after = '{box.name}-0'")
    box.haconiwa("start", "-n", f"{box.name}-1", file)
    assert order(box.haconiwa, box, "started") == [1]
    box.haconiwa("stop", "-T", "0", file)


def test_the_last_hooks_of_a_failed_start_are_not_disturbed(box: Box) -> None:
    other = str(box.folder / "0.pid")
    hooks = f"""c.init_command = '/no/such'
import os, time
def wait(base, there):
    while os.path.exists({other!r}) is not there:
        time.sleep(0.01)
    base.log(f'{{base.status}} and undisturbed')
c.add_general_hook('before_fork', lambda base: wait(base, True), timeout_sec=20)
c.add_general_hook('teardown_container', lambda base: wait(base, False), timeout_sec=20)"""
    box.haconiwa("start", barn(box, "", hooks), expect=127)
    log = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}-1.supervisor.log"
    assert f"{box.name}-1: stopped and undisturbed" in log.read_text(encoding="utf-8")


def test_one_that_cannot_be_cleared_up_ends_alone(box: Box) -> None:
    go, end = box.root / "tmp/go", box.root / "tmp/end"
    waits = "c.init_command = ['/bin/sh', '-c', 'until test -e /tmp/{}; do sleep 0.01; done; exit {}']"
    file = barn(box, waits.format("go", 3), waits.format("end", 4))
    first = f"{box.name}-0"
    folder = str(box.run_dir.parent / first)
    with box.haconiwa.start("start", "-T", file) as process:
        wait_until(lambda: len(order(box.haconiwa, box, "started")) == 2, "both run")
        supervisor = Watched(json.loads(box.haconiwa("inspect", first).stdout)[0]["supervisor_pid"])
        mount(folder, folder, None, MS.BIND, None)
        try:
            mount_setattr(AT_FDCWD, folder, attr_set=MOUNT_ATTR.RDONLY)
            go.touch()
            assert supervisor.ended()
            assert process.stderr is not None
            told = (line for line in iter(process.stderr.readline, "") if "Read-only file system (EROFS)" in line)
            assert next(told)  # the supervisor, and then the barn in its place
            assert next(told)
        finally:
            umount2(folder, MNT.DETACH)
            seen = order(box.haconiwa, box, "exited")
            end.touch()
        assert seen == [0]
        finish(process, expect=125)
    assert order(box.haconiwa, box, "exited") == [0, 1]
    supervisor.close()
    box.haconiwa("stop", first, expect=None)
    for path in (go, end):
        path.unlink()
