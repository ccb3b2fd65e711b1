"""Hooks: when they are called, in which process, with what, and what happens when they fail."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.integration.box import HEEDS_TERM, NAMESPACES, Box, Watched, finish, insist, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

POINTS = (
    "setup", "before_fork", "after_network_created", "immediately_after_fork_on_parent", "after_fork",
    "after_network_initialized", "before_chroot", "after_chroot", "before_start_wait", "teardown_container",
    "after_failure", "system_failure", "teardown",
)  # fmt: skip
IN_CHILD = ("after_fork", "after_network_initialized", "before_chroot", "after_chroot")
BEFORE_EXEC = POINTS[:8]

RECORD = """
import json
log_fd = os.open(os.path.join(os.path.dirname(__file__), "hooks.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def describe(base):
    known = {name: getattr(base, name, None) for name in ("name", "pid", "status", "exit_status", "containers")}
    here = {"process": os.getpid(), "parent": os.getppid(), "hostname": os.uname().nodename}
    here["type"] = type(base).__name__
    return {**known, **here, "host": os.path.exists(__file__), "supervisor": getattr(base, "supervisor_pid", None)}

def recorder(point, suffix=""):
    def record(base):
        os.write(log_fd, (json.dumps({"point": point + suffix, **describe(base)}) + "\\n").encode())
    return record
"""


def recording(points: tuple[str, ...] = POINTS, twice: bool = False) -> str:
    """Lines of a haco file that record every call of a hook."""
    adds = [f"config.add_general_hook({point!r}, recorder({point!r}))\n" for point in points]
    if twice:
        adds += [f"config.add_general_hook({point!r}, recorder({point!r}, '-2'))\n" for point in points]
    return RECORD + "".join(adds)


def calls(box: Box) -> list[dict[str, object]]:
    """What the hooks recorded, and forget it."""
    path = box.folder / "hooks.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@pytest.mark.setting("add_general_hook")
def test_every_point_in_order(box: Box) -> None:
    box.write(rest=recording(twice=True))
    box.run("/bin/sh", "-c", "exit 3", expect=3)
    # of the parent's and the child's points around the fork only the order within each process is fixed
    seen = [call["point"] for call in calls(box)]
    expected = [name for point in POINTS for name in (point, f"{point}-2")]
    assert sorted(map(str, seen)) == sorted(expected)
    for chain in (("setup", "before_fork", "after_network_created", "immediately_after_fork_on_parent",
                   "before_start_wait", "teardown_container", "after_failure", "system_failure", "teardown"),
                  ("after_network_created", *IN_CHILD, "before_start_wait")):  # fmt: skip
        names = [name for point in chain for name in (point, f"{point}-2")]
        assert [name for name in seen if name in names] == names


def test_points_of_failure_are_not_called_after_success(box: Box) -> None:
    box.write(rest=recording())
    box.run("true")
    names = [call["point"] for call in calls(box)]
    assert "after_failure" not in names
    assert "system_failure" not in names
    assert names[-2:] == ["teardown_container", "teardown"]


def test_each_hook_runs_in_its_process_and_knows_the_container(box: Box) -> None:
    box.write(rest=recording(), namespaces=(*NAMESPACES, "net"))
    result = box.run("/bin/sh", "-c", "exit 3", expect=3)
    by_point = {call["point"]: call for call in calls(box)}
    barn = by_point["setup"]["process"]
    supervisor = by_point["before_fork"]["process"]
    assert barn != supervisor
    pid = by_point["before_start_wait"]["pid"]
    assert f"going to wait: pid={pid}" in result.stderr
    assert f"One of supervisors finished: {supervisor}, exited(3)" in result.stderr
    for point, call in by_point.items():
        if point in ("setup", "system_failure", "teardown"):
            assert (call["process"], call["type"], call["containers"]) == (barn, "Barn", [box.name])
        elif point in IN_CHILD:
            assert (call["process"], call["parent"], call["type"], call["name"]) == (1, 0, "Base", box.name)
        else:
            assert (call["process"], call["parent"], call["supervisor"]) == (supervisor, barn, supervisor)
    assert by_point["before_fork"]["pid"] == 0
    assert by_point["immediately_after_fork_on_parent"]["pid"] == pid
    assert {point: by_point[point]["status"] for point in ("before_fork", "before_start_wait", "after_failure")} == {
        "before_fork": "creating", "before_start_wait": "running", "after_failure": "stopped",
    }  # fmt: skip
    assert [by_point[point]["exit_status"] for point in ("before_start_wait", "teardown_container", "teardown")] == [
        None, 3, 3,
    ]  # fmt: skip


def test_root_and_names_at_each_point_of_the_child(box: Box) -> None:
    box.write(rest=recording())
    box.run("true")
    by_point = {call["point"]: call for call in calls(box)}
    assert [by_point[point]["host"] for point in IN_CHILD] == [True, True, True, False]
    assert by_point["after_fork"]["hostname"] == os.uname().nodename
    assert by_point["before_chroot"]["hostname"] == box.name


def test_before_chroot_has_all_capabilities_and_after_chroot_too(box: Box) -> None:
    box.write(
        rest="""
        def show(base):
            with open("/proc/thread-self/status") as file:
                print(*[line.split()[1] for line in file if line.startswith("CapEff")])

        config.add_general_hook("before_chroot", show)
        config.add_general_hook("after_chroot", show)
        """
    )
    with open("/proc/self/status", encoding="ascii") as file:
        ours = next(line.split()[1] for line in file if line.startswith("CapEff"))
    assert box.run("true").stderr.split().count(ours) == 2


HOOK = """
calls = 0

def fail(base):
    raise ValueError("on purpose")

config.add_general_hook({point!r}, fail{more})
"""


@pytest.mark.parametrize("point", BEFORE_EXEC)
def test_failing_hook_before_the_exec_stops_the_start(box: Box, point: str) -> None:
    rest = RECORD + HOOK.format(point=point, more="")
    for other in ("teardown_container", "after_failure", "teardown", "system_failure"):
        rest += f"config.add_general_hook({other!r}, recorder({other!r}))\n"
    box.write(rest=rest)
    result = box.run("echo", "must not run", expect=125)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("error: "))
    subject = "" if point == "setup" else f"{box.name}: "
    line = next(n for n, text in enumerate(box.file.read_text().splitlines(), 1) if "raise ValueError" in text)
    assert lines[begin] == f'error: {subject}the {point} hook "fail" failed: ValueError: on purpose'
    assert lines[begin + 1] == f"  in: fail ({box.file}:{line})"
    assert lines[begin + 2] == f"  at: {box.file}:{line + 2}"
    assert "fork success" not in result.stderr
    names = [call["point"] for call in calls(box)]
    if point != "setup":
        assert names == ["teardown_container", "after_failure", "system_failure", "teardown"]
    box.nothing_left()


@pytest.mark.parametrize("point", ["before_fork", "after_chroot"])
@pytest.mark.parametrize("code", ["recurse(base)", "raise ValueError('\\ud800' * 70000)"])
def test_hook_whose_error_is_long_or_odd(box: Box, point: str, code: str) -> None:
    box.write(rest=f"def recurse(base):\n    {code}\nconfig.add_general_hook({point!r}, recurse)")
    messages = box.fails("true")
    assert messages.startswith(f'error: {box.name}: the {point} hook "recurse" failed: ')
    assert f"  in: recurse ({box.file}:" in messages


@pytest.mark.parametrize("point", POINTS)
def test_failing_hook_that_may_fail_is_reported(box: Box, point: str) -> None:
    box.write(rest=HOOK.format(point=point, more=', on_error="continue"'))
    result = box.run("/bin/sh", "-c", "echo ran; exit 3", expect=3)
    assert result.stdout == "ran\n"
    assert result.stderr.count("failed: ValueError: on purpose") == 1
    assert f'the {point} hook "fail" failed' in result.stderr


@pytest.mark.parametrize("point", POINTS[8:])
def test_failing_hook_after_the_exec_is_reported_by_default(box: Box, point: str) -> None:
    box.write(rest=HOOK.format(point=point, more=""))
    assert f'the {point} hook "fail" failed' in box.run("/bin/sh", "-c", "exit 3", expect=3).stderr


@pytest.mark.parametrize("point", [*POINTS[1:]])
def test_sys_exit_in_a_hook_is_its_failure(box: Box, point: str) -> None:
    box.write(rest=f'import sys\nconfig.add_general_hook({point!r}, lambda base: sys.exit(0), on_error="abort")')
    messages = box.run("/bin/sh", "-c", "exit 3", expect=None).stderr
    assert f'the {point} hook "<lambda>" failed: SystemExit: 0' in messages


@pytest.mark.parametrize("point", BEFORE_EXEC[1:])
def test_os_exit_in_a_hook_fails_the_start_without_leftovers(box: Box, point: str) -> None:
    box.write(rest=f"config.add_general_hook({point!r}, lambda base: os._exit(0))")
    result = box.run("echo", "must not run", expect=125)
    assert result.stdout == ""
    if point in IN_CHILD:
        assert "the container's process died before its program ran: exited(0)" in result.stderr
    box.nothing_left()


def test_teardown_is_called_whatever_failed_before(box: Box) -> None:
    rest = HOOK.format(point="system_failure", more=', on_error="abort"')
    rest += 'config.add_general_hook("teardown", lambda barn: print("torn down", barn.exit_status))\n'
    box.write(rest=rest)
    messages = box.fails("/bin/sh", "-c", "exit 3", expect=3)
    assert 'the system_failure hook "fail" failed: ValueError: on purpose' in messages
    assert "torn down 3" in messages
    box.write(rest=f'{rest}config.add_general_hook("setup", fail)')
    for options in ((), ("-D",)):
        messages = box.haconiwa("start", *options, box.file, "--", "true", expect=125).stderr
        assert 'the setup hook "fail" failed: ValueError: on purpose' in messages
        assert 'the system_failure hook "fail" failed: ValueError: on purpose' in messages
        assert "torn down 125" in messages
        box.nothing_left()


@pytest.mark.parametrize("point", ["before_fork", "before_start_wait", "async", "teardown_container"])
def test_os_exit_in_a_hook_of_the_supervisor_is_its_death(box: Box, point: str) -> None:
    add = "add_async_hook(die, msec=1)" if point == "async" else f"add_general_hook({point!r}, die)"
    box.write(
        rest=f"""
def die(base):
    os._exit(0)

config.{add}
config.add_general_hook("system_failure", lambda barn: print("failed", barn.exit_status, barn.system_exception))
"""
    )
    argv = ("true",) if point == "teardown_container" else ("sleep", "1000")
    messages = box.fails(*argv)
    assert f"error: {box.name}: its supervisor died: exited(0)\n  hint: os._exit() in a hook ends it" in messages
    assert f"failed 125 {box.name}: exited(0)" in messages
    box.nothing_left()


def test_a_death_kills_nobody_else_in_a_group_of_the_same_name(box: Box) -> None:
    shared = f"config.cgroup_name = '{box.name}-shared'"
    box.write(shared, namespaces=("mount",))
    box.daemon("sleep 1000")
    text = (
        box.file.read_text()
        .replace(repr(box.name), repr(f"{box.name}-b"))
        .replace(str(box.pid_file), f"{box.pid_file}-b")
    )
    other = box.folder / "other.haco"
    other.write_text(text + "\nimport os\nconfig.add_general_hook('before_fork', lambda base: os._exit(0))\n")
    assert "its supervisor died" in box.haconiwa("start", other, expect=125).stderr
    assert box.status() == "running"
    box.stop()
    box.nothing_left()


@pytest.mark.parametrize("point", ["before_fork", "before_start_wait"])
def test_os_exit_in_a_hook_in_the_background_reaches_the_caller(box: Box, point: str) -> None:
    box.write(rest=f"config.add_general_hook({point!r}, lambda base: os._exit(0))")
    messages = box.haconiwa("start", "-D", box.file, "--", "sleep", "1000", expect=125).stderr
    assert messages.startswith(f"error: {box.name}: its supervisor died: exited(0)\n")
    box.nothing_left()


@pytest.mark.parametrize("point", BEFORE_EXEC[1:])
def test_supervisor_killed_in_a_hook_takes_the_container_along(box: Box, point: str) -> None:
    killer = "base.supervisor_pid" if point in IN_CHILD else "os.getpid()"
    if point in IN_CHILD:  # it sees another pid namespace than its supervisor
        box.write(
            namespaces=("mount", "ipc", "uts"),
            rest=f"import select\n@config.add_general_hook({point!r})\ndef kill(base):\n"
            f"    os.kill({killer}, 9)\n    select.select([], [], [])\n",
        )
    else:
        box.write(rest=f"config.add_general_hook({point!r}, lambda base: os.kill({killer}, 9))")
    result = box.run("echo", "must not run", expect=125)
    assert result.stdout == ""
    assert "signaled(9)" in result.stderr
    box.nothing_left()


OURS = """
import signal

def fail(*_args):
    config.hostname = "too-late"

def end(base):
    base.kill("KILL")

def ended(base):
    print("ended", base.exit_status)

config.add_general_hook("teardown_container", ended)
"""
AFTER_EXEC = {
    "before_start_wait": 'config.add_general_hook("before_start_wait", fail)',
    "async": "config.add_async_hook(fail, msec=1)",
    "USR1": 'config.add_signal_handler("USR1", fail)\n'
    "config.add_async_hook(lambda base: os.kill(os.getpid(), signal.SIGUSR1), msec=1)",
    "readiness": "config.add_readiness_hook(fail, timeout=1)",
    "teardown_container": 'config.add_general_hook("teardown_container", fail)',
}


@pytest.mark.parametrize("point", AFTER_EXEC)
def test_an_error_of_ours_in_a_hook_is_the_hooks_and_the_container_goes_on(box: Box, point: str) -> None:
    box.write(rest=f"{OURS}{AFTER_EXEC[point]}\nconfig.add_async_hook(end, msec=200)\n")
    messages = box.fails("sleep", "1000", expect=137)
    what = f"(the {point} hook|the {point} handler)"
    assert re.search(rf'^error: {box.name}: {what} "fail" failed: ConfigError: ', messages, re.MULTILINE)
    assert "hostname: cannot be set any more" in messages
    assert "ended 137" in messages
    assert "a bug of haconiwa" not in messages


def test_a_timer_that_always_fails_does_not_flood_the_log_and_the_events(box: Box) -> None:
    rest = """
counts = {"calls": 0}

def fail(base):
    counts["calls"] += 1
    if counts["calls"] == 1100:
        base.kill("KILL")
    raise ValueError("no")

config.add_async_hook(fail, msec=1, interval_msec=1)
"""
    box.write(rest=rest)
    messages = box.fails("sleep", "1000", expect=137)
    assert 1 <= messages.count("ValueError: no") == len(box.events("hook_failed")) <= 1000  # as many as in an hour


@pytest.mark.parametrize("point", ["before_fork", "immediately_after_fork_on_parent", "before_chroot"])
def test_an_error_of_ours_in_a_hook_before_the_exec_fails_the_start(box: Box, point: str) -> None:
    box.write(rest=f"{OURS}config.add_general_hook({point!r}, fail)")
    assert f'{box.name}: the {point} hook "fail" failed: ConfigError: ' in box.fails("true", expect=125)


@pytest.mark.parametrize("options", [(), ("-D",)], ids=["foreground", "daemon"])
def test_the_last_hook_of_the_start_can_stop_it(box: Box, options: tuple[str, ...]) -> None:
    again = 'config.restart_policy("always", backoff_sec=1)\n'
    box.write(rest=f'{OURS}{again}config.add_general_hook("before_start_wait", fail, on_error="abort")')
    messages = box.haconiwa("start", *options, box.file, "--", "sleep", "1000", expect=125).stderr
    assert f'error: {box.name}: the before_start_wait hook "fail" failed: ConfigError: ' in messages
    assert options or "ended 125" in messages
    assert f"supervisor={box.name}" not in messages
    box.nothing_left()


def test_a_supervisor_that_cannot_go_on_ends_its_container_first(box: Box) -> None:
    box.write(
        rest=f"""
        import shutil

        def forget(base, _ok):
            shutil.rmtree({str(box.run_dir)!r})
            return True

        config.add_readiness_hook(forget)
        config.add_general_hook("teardown_container", lambda base: print("ended", base.status, base.exit_status))
        """
    )
    for options in ((), ("-D", "--wait-ready")):
        messages = box.haconiwa("start", *options, box.file, "--", "sleep", "1000", expect=125).stderr
        assert f'error: {box.name}: cannot record its state in "{box.run_dir}/state.json": No such' in messages
        assert options or "ended stopped 125" in messages
        wait_until(lambda: not box.pid_file.exists(), "the supervisor has cleared up")
        box.nothing_left()


def test_process_that_a_hook_forked_does_not_hold_up_the_end(box: Box) -> None:
    box.write(
        rest="""
        import select

        @config.add_general_hook("before_fork")
        def fork(base):
            pid = os.fork()
            if pid == 0:
                select.select([], [], [])
            print("forked", pid)
        """
    )
    with box.background("exit 3") as process:
        assert process.stderr is not None
        pid = int(process.stderr.readline().split()[1])
        try:
            assert process.wait(20) == 3
        finally:
            os.kill(pid, 9)


@pytest.mark.parametrize("point", [*POINTS[1:8], "before_start_wait", "teardown_container"])
def test_hook_that_hangs_is_ended_by_term(box: Box, point: str) -> None:
    box.write(rest=RECORD + f"""
def hang(base):
    recorder("hanging")(base)
    import select
    select.select([], [], [])

config.add_general_hook({point!r}, hang)
config.add_general_hook("teardown", recorder("teardown"))
""".replace("    import select\n", "").replace("def hang", "import select\ndef hang"))  # fmt: skip
    with box.background("exit 3") as process:
        log = box.folder / "hooks.log"
        wait_until(lambda: log.exists() and "hanging" in log.read_text(), "the hook hangs")
        process.terminate()
        finish(process, expect=None)
        assert process.returncode != 0
    assert [call["point"] for call in calls(box)] == ["hanging", "teardown"]
    box.nothing_left()


def test_hook_that_closes_changes_and_forks_leaves_the_supervisor_whole(box: Box) -> None:
    box.write(
        rest="""
        import signal

        @config.add_general_hook("before_fork")
        def disturb(base):
            os.chdir("/tmp")
            os.umask(0)
            if os.fork() == 0:
                os._exit(0)
            base.__dict__.update(name="other", pid=1)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        """
    )
    assert box.run("/bin/sh", "-c", "umask; pwd; exit 3", expect=3).stdout == "0022\n/\n"


def test_teardown_runs_once_when_the_stop_comes_twice(box: Box) -> None:
    box.write(rest=recording(("teardown_container", "teardown")))
    with box.background("trap '' TERM; echo ready; while :; do sleep 1; done") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        insist(process)
        finish(process, expect=137)
    assert [call["point"] for call in calls(box)] == ["teardown_container", "teardown"]
    assert box.events("exited")[0]["reason"] == "signal"  # not a KILL after the usual time


def test_a_hook_that_asks_for_the_stop_again_is_not_impatient(box: Box) -> None:
    box.write(rest="config.add_async_hook(lambda base: base.stop(), msec=20, interval_msec=20)")
    box.run("/bin/sh", "-c", "trap 'sleep 0.3; exit 4' TERM; while :; do sleep 0.01; done", expect=4)


def test_base_can_end_the_container(box: Box) -> None:
    box.write(rest='config.add_general_hook("before_start_wait", lambda base: base.kill("KILL"))')
    box.run("sleep", "1000", expect=137)
    box.write(rest="config.add_async_hook(lambda base: base.stop(), msec=1)")
    box.run("/bin/sh", "-c", HEEDS_TERM, expect=4)


def test_print_and_log_go_to_stderr_in_a_pipe(box: Box) -> None:
    box.write(
        rest="""
        @config.add_general_hook("before_fork")
        def talk(base):
            print("printed")
            base.log("logged")
        """
    )
    result = box.run("echo", "output")
    assert result.stdout == "output\n"
    assert result.stderr.splitlines()[:2] == ["printed", f"{box.name}: logged"]


def test_async_def_hooks(box: Box) -> None:
    box.write(
        rest="""
        import asyncio

        @config.add_general_hook("before_start_wait")
        async def wait_a_little(base):
            await asyncio.sleep(0)
            print("waited for", base.name)

        @config.add_general_hook("teardown_container")
        async def fail(base):
            raise ValueError("asynchronously")
        """
    )
    messages = box.run("true").stderr
    assert f"waited for {box.name}\n" in messages
    assert 'the teardown_container hook "fail" failed: ValueError: asynchronously' in messages


# --------------------------------------------------------------------------------------------------------------- timers


@pytest.mark.setting("add_async_hook")
def test_timer_is_called_until_its_limit(box: Box) -> None:
    box.write(
        rest="""
        seen = []

        @config.add_async_hook(msec=1, interval_msec=1, limit_count=3)
        def tick(base):
            seen.append(1)
            print("tick", len(seen))

        @config.add_async_hook(msec=100)
        def end(base):
            base.kill("KILL")
        """
    )
    messages = box.run("sleep", "1000", expect=137).stderr
    assert [line for line in messages.splitlines() if line.startswith("tick")] == ["tick 1", "tick 2", "tick 3"]


def test_timer_stops_itself(box: Box) -> None:
    box.write(
        rest="""
        seen = []

        @config.add_async_hook(msec=1, interval_msec=1)
        def tick(base):
            seen.append(1)
            print("tick", len(seen))
            if len(seen) == 2:
                base.timer.stop()

        config.add_async_hook(lambda base: base.kill("KILL"), msec=60)
        """
    )
    messages = box.run("sleep", "1000", expect=137).stderr
    assert [line for line in messages.splitlines() if line.startswith("tick")] == ["tick 1", "tick 2"]


def test_slow_timer_does_not_pile_up(box: Box) -> None:
    box.write(
        rest="""
        import time
        running = []

        @config.add_async_hook(msec=1, interval_msec=1, limit_count=5)
        def slow(base):
            assert not running
            running.append(1)
            begin = time.monotonic()
            while time.monotonic() < begin + 0.02:
                pass
            running.clear()
            print("slow")
            if base.timer is None:
                print("no timer")

        config.add_async_hook(lambda base: base.kill("KILL"), msec=70)
        """
    )
    messages = box.run("sleep", "1000", expect=137).stderr
    # of the seventy moments that were due, most were skipped, and the other timer had its turn
    assert 1 <= messages.count("slow\n") <= 5
    assert "failed" not in messages


def test_failing_timer_goes_on(box: Box) -> None:
    box.write(
        rest="""
        seen = []

        @config.add_async_hook(msec=1, interval_msec=1)
        def tick(base):
            seen.append(1)
            if len(seen) == 3:
                base.kill("KILL")
            raise ValueError(len(seen))
        """
    )
    messages = box.run("sleep", "1000", expect=137).stderr
    assert messages.count('the async hook "tick" failed: ValueError: ') >= 3


@pytest.mark.parametrize("options", [(), ("-D",)], ids=["foreground", "daemon"])
def test_signal_without_a_handler_is_nothing(box: Box, options: tuple[str, ...]) -> None:
    """Neither to the supervisor nor to its barn; what they start has the signals as they were."""
    ignored = box.folder / "ignored"
    show = f"lambda base: os.system('grep SigIgn: /proc/self/status > {ignored}')"
    box.write(rest=f"config.add_general_hook('before_start_wait', {show})")
    with box.background("exec sleep 1000", *options):
        wait_until(lambda: ignored.exists() and ignored.read_text(), "it runs")
        pids = [box.state()["supervisor"]["pid"]]
        pids.append(int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1]))
        for pid in pids:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU):
                if options or pid == pids[0] or number in (signal.SIGUSR1, signal.SIGUSR2):
                    os.kill(pid, number)
        mask = sum(1 << number - 1 for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU))
        assert not int(ignored.read_text().split()[1], 16) & mask
        assert "SigIgn:\t0000000000000000" in Path(f"/proc/{box.state()['init']['pid']}/status").read_text()
        assert box.status() == "running"
        assert [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids] == ["S", "S"]
        box.stop()


@pytest.mark.setting("add_signal_handler")
def test_signal_handler(box: Box, watched: type[Watched]) -> None:
    box.write(
        rest="""
        @config.add_signal_handler("USR1")
        def one(base):
            print("USR1 for", base.name)

        @config.add_signal_handler("USR1")
        def two(base):
            print("and again")

        @config.add_signal_handler("USR2")
        def end(base):
            base.kill("KILL")
        """
    )
    with box.background("echo ready; sleep 1000") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        supervisor = watched(box.state()["supervisor"]["pid"])
        supervisor.kill(signal.SIGUSR1)
        while "USR1" not in (line := process.stderr.readline()):
            assert line
        assert line == f"USR1 for {box.name}\n"
        assert process.stderr.readline() == "and again\n"
        supervisor.kill(signal.SIGUSR2)
        finish(process, expect=137)


@pytest.mark.setting("validate_real_id")
def test_setup_that_refuses_ends_before_anything(box: Box) -> None:
    box.write(rest="config.validate_real_id(lambda ruid, rgid: ruid != 0)")
    messages = box.fails("true")
    refused = f'error: cannot use "{box.file}": its validate_real_id refuses user id 0, group id 0\n'
    assert messages == refused
    archive = box.folder / "root.tar"
    for command in (("create",), ("provision",), ("archive", "-d", archive), ("rm", "--force"), ("diff",), ("commit",)):
        assert box.haconiwa(*command, box.file, expect=125).stderr == refused
    assert box.haconiwa("start", "--bootstrap", box.file, expect=125).stderr == refused
    assert box.root.is_dir()
    assert not archive.exists()
    box.haconiwa("check", box.file)


def test_error_in_the_function_that_decides_refuses_too(box: Box) -> None:
    box.write(rest="def who(ruid, rgid):\n    raise ValueError('on purpose')\nconfig.validate_real_id(who)")
    for command in ("start", "create", "rm"):
        messages = box.haconiwa(command, box.file, expect=125).stderr
        assert messages.startswith(
            f'error: {box.file}: validate_real_id "who" failed: ValueError: on purpose\n  in: who'
        )
