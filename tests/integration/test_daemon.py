"""Containers in the background: honest answers, one of a name, and what happens when a supervisor dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.lifecycle.ask import ask
from haconiwa.lifecycle.identity import Identity, age_s
from tests.conftest import RunDirs
from tests.integration.box import Box, Watched, finish, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

Watch = Callable[[int], Watched]
SLEEP = "trap 'echo got TERM; exit 4' TERM; echo up; while :; do sleep 0.05; done"


def log(box: Box, kind: str = "") -> str:
    path = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}{kind}.log"
    return path.read_text() if path.exists() else ""


def is_up(box: Box) -> bool:
    return "up\n" in log(box)


@pytest.mark.setting("daemonize")
def test_start_returns_once_it_runs(box: Box) -> None:
    result = box.haconiwa("start", "-D", box.file, "--", "sleep", "1000")
    state = box.state()
    assert result.stdout == ""
    assert result.stderr == f"{box.name}: pid={state['init']['pid']} supervisor={state['supervisor']['pid']}\n"
    assert box.status() == "running"
    assert box.pid_file.read_text() == f"{state['supervisor']['pid']}\n"
    box.stop()
    assert box.status() == ""
    box.nothing_left()


@pytest.mark.setting("daemonize")
def test_daemon_is_out_of_the_callers_session_and_folder(box: Box) -> None:
    state = box.daemon()
    pid = state["supervisor"]["pid"]
    assert os.getsid(pid) not in (os.getsid(0), 0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    box.stop()


def test_daemon_lets_go_of_what_its_caller_has_open_and_of_nothing_else(box: Box) -> None:
    (read_fd, write_fd), (taken_read_fd, taken_fd) = os.pipe(), os.pipe()
    told = box.folder / "told"
    rest = (
        f"os.dup2(os.open({str(told)!r}, os.O_WRONLY | os.O_CREAT), {taken_fd})\n"
        f'config.add_general_hook("teardown_container", lambda base: os.write({taken_fd}, b"ended"))'
    )
    argv = [box.haconiwa.path, "start", "-D", str(box.write(rest=rest)), "--", "sleep", "1000"]
    subprocess.run(argv, check=True, env=box.haconiwa.environ(), pass_fds=(write_fd, taken_fd), timeout=30)
    for fd in (write_fd, taken_fd):
        os.close(fd)
    for fd in (read_fd, taken_read_fd):
        os.set_blocking(fd, False)
        assert os.read(fd, 1) == b""
        os.close(fd)
    box.stop()
    assert told.read_text() == "ended"


@pytest.mark.parametrize(("command", "status"), [("nothing-of-the-kind", 127), ("/etc/passwd", 126)])
def test_failure_reaches_the_caller(box: Box, command: str, status: int) -> None:
    result = box.haconiwa("start", "-D", box.file, "--", command, expect=status)
    assert f'error: {box.name}: cannot execute "{command}": ' in result.stderr
    box.nothing_left()


def test_failure_of_a_step_reaches_the_caller(box: Box) -> None:
    box.write('config.add_mount_point("/no/such/thing", to="/mnt")')
    result = box.haconiwa("start", "-D", box.file, expect=125)
    assert result.stderr.splitlines() == [
        f'error: {box.name}: cannot open "/no/such/thing" to bind it on "/mnt": No such file or directory (ENOENT)',
        f"  at: {box.file}:{box.settings_line}",
        "  hint: create it, or pass optional=True to add_mount_point",
    ]
    box.nothing_left()


def test_failing_hook_reaches_the_caller(box: Box) -> None:
    box.write(rest='config.add_general_hook("before_chroot", lambda base: 1 / 0)')
    result = box.haconiwa("start", "-D", box.file, expect=125)
    assert 'the before_chroot hook "<lambda>" failed: ZeroDivisionError: division by zero' in result.stderr


@pytest.mark.parametrize("point", ["before_fork", "immediately_after_fork_on_parent", "after_chroot"])
def test_supervisor_that_dies_starting_reaches_the_caller(box: Box, point: str) -> None:
    box.write(rest=f"config.add_general_hook({point!r}, lambda base: os._exit(0))")
    result = box.haconiwa("start", "-D", box.file, expect=125)
    assert result.stderr.startswith(f"error: {box.name}: ")
    box.nothing_left()


def test_program_that_ends_at_once_was_started(box: Box) -> None:
    box.haconiwa("start", "-D", box.file, "--", "true")
    wait_until(lambda: not box.run_dir.exists(), "it is gone")


def test_logs(box: Box) -> None:
    box.write(
        rest="""
        config.add_general_hook("before_fork", lambda base: print("printed before"))
        config.add_general_hook("teardown_container", lambda base: base.log("logged after"))
        config.add_async_hook(lambda base: print("timer"), msec=1)
        config.add_general_hook("before_start_wait", lambda base: 1 / 0)
        """
    )
    box.daemon("echo to stdout; echo to stderr >&2; cat; echo up; read line; exec sleep 1000")
    wait_until(lambda: is_up(box), "the program is up")
    wait_until(lambda: "timer" in log(box, ".supervisor"), "the timer fires")
    box.stop()
    assert log(box) == "to stdout\nto stderr\nup\n"
    lines = log(box, ".supervisor").splitlines()
    assert lines[0] == "printed before"
    assert lines[1].startswith("Container fork success and going to wait: pid=")
    assert f'error: {box.name}: the before_start_wait hook "<lambda>" failed: ZeroDivisionError' in lines[2] or (
        'the before_start_wait hook "<lambda>" failed: ZeroDivisionError: division by zero' in "\n".join(lines)
    )
    assert lines[-1] == f"{box.name}: logged after"
    assert os.stat(os.environ["HACONIWA_LOG_DIR"] + f"/{box.name}.log").st_mode & 0o777 == 0o600


def test_logs_are_appended_to(box: Box) -> None:
    for _ in range(2):
        box.haconiwa("start", "-D", box.file, "--", "echo", "once")
        wait_until(lambda: not box.run_dir.exists(), "it is gone")
    assert log(box) == "once\nonce\n"


@pytest.mark.setting("command.set_stdin", "command.set_stdout", "command.set_stderr")
def test_streams_asked_for(box: Box) -> None:
    (box.folder / "input").write_text("from the host\n")
    box.write(f"""
        config.command.set_stdin(host_file={str(box.folder / "input")!r})
        config.command.set_stdout(file="/var/tmp/out")
        config.command.set_stderr(host_file={str(box.folder / "err")!r})
    """)
    box.haconiwa("start", "-D", box.file, "--", "sh", "-c", "cat; echo error >&2")
    wait_until(lambda: not box.run_dir.exists(), "it is gone")
    assert (box.root / "var/tmp/out").read_text() == "from the host\n"
    assert (box.folder / "err").read_text() == "error\n"


@pytest.mark.parametrize(("kind", "why"), [("fifo", "(ENXIO)"), ("directory", "(EISDIR)"), ("link", "(ELOOP)")])
def test_stream_to_something_else_fails_and_does_not_hang(box: Box, kind: str, why: str) -> None:
    path = box.root / "var/tmp/out"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("out")
    box.write('config.command.set_stdout(file="/var/tmp/out")')
    result = box.haconiwa("start", "-D", box.file, "--", "true", expect=125)
    assert 'cannot open "/var/tmp/out" in the container for the program\'s stdout' in result.stderr
    assert why in result.stderr


def test_stream_inside_cannot_lead_to_the_host(box: Box) -> None:
    victim = box.folder / "victim"
    victim.write_text("untouched")
    (box.root / "var/tmp/out").symlink_to(victim)
    box.write('config.command.set_stdout(file="/var/tmp/out")')
    box.haconiwa("start", "-D", box.file, "--", "echo", "x")
    wait_until(lambda: not box.run_dir.exists(), "it is gone")
    assert victim.read_text() == "untouched"
    assert (box.root / str(victim).lstrip("/")).read_text() == "x\n"


# ----------------------------------------------------------------------------------------------------- one of each name


def test_second_start_is_refused_and_disturbs_nothing(box: Box) -> None:
    state = box.daemon()
    result = box.run("true", expect=125)
    assert result.stderr.splitlines()[:2] == [
        f"error: {box.name}: cannot start: it is already running",
        f"  hint: see haconiwa ps, or run haconiwa stop {box.name}",
    ]
    assert box.state() == state
    assert box.status() == "running"
    assert box.pid_file.read_text() == f"{state['supervisor']['pid']}\n"
    assert box.attach("echo", "alive").stdout == "alive\n"
    box.stop()


HOOKS = """
for point in ("setup", "system_failure", "teardown"):
    config.add_general_hook(point, lambda barn, point=point: print("called", point))
"""


def test_refused_start_calls_no_hook(box: Box) -> None:
    box.daemon()
    box.write(rest=HOOKS)
    for options in ((), ("-D",)):
        messages = box.haconiwa("start", *options, box.file, expect=125).stderr
        assert messages.startswith(f"error: {box.name}: cannot start: it is already running\n")
        assert "called" not in messages
    assert box.status() == "running"
    box.stop()


def test_what_the_barns_hooks_say_in_the_background_is_in_the_log(box: Box) -> None:
    box.write(
        rest="""
        @config.add_general_hook("teardown")
        def end(barn):
            print("torn down", barn.exit_status)
            raise ValueError("on purpose")
        """
    )
    box.daemon()
    box.stop()
    wait_until(lambda: "ValueError" in box.haconiwa("logs", "--supervisor", box.name).stdout, "the teardown hook")
    log = box.haconiwa("logs", "--supervisor", box.name).stdout
    assert 'torn down 137\nerror: the teardown hook "end" failed: ValueError: on purpose\n  in: end (' in log
    assert '"event": "hook_failed"' in box.haconiwa("events", "--json", box.name).stdout


def test_of_two_starts_that_meet_in_setup_one_is_refused_before_it(box: Box) -> None:
    gate = box.folder / "gate"
    os.mkfifo(gate)
    box.write(rest=f'{HOOKS}config.add_general_hook("setup", lambda barn: open({str(gate)!r}).read())')
    with box.background("exit 3") as first:
        fd = os.open(gate, os.O_WRONLY)  # once the hook reads
        messages = box.fails("true")
        assert messages.startswith(f"error: {box.name}: cannot start: it is already running\n")
        assert "called" not in messages
        os.close(fd)
        _, messages = finish(first, expect=3)
    assert [line for line in messages.splitlines() if line.startswith("called")] == [
        "called setup", "called system_failure", "called teardown",
    ]  # fmt: skip


def test_eight_starts_at_once_and_one_wins(box: Box) -> None:
    argv = [box.haconiwa.path, "start", "-D", str(box.file), "--", "sleep", "1000"]
    processes = [
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=box.haconiwa.environ())
        for _ in range(8)
    ]  # fmt: skip
    results = [(finish(process, expect=None)[1], process.returncode) for process in processes]
    assert sorted(status for _, status in results) == [0] + [125] * 7
    for messages, status in results:
        assert ("it is already running" in messages) == (status == 125)
    state = box.state()
    winner = next(messages for messages, status in results if status == 0)
    assert winner == f"{box.name}: pid={state['init']['pid']} supervisor={state['supervisor']['pid']}\n"
    assert box.attach("echo", "alive").stdout == "alive\n"
    box.stop()


def test_name_is_free_again_at_once(box: Box) -> None:
    for _ in range(3):
        box.daemon()
        box.stop()


# ------------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_to_the_supervisor_stops_everything(box: Box, watched: Watch, number: int) -> None:
    box.write(rest='config.add_general_hook("teardown", lambda barn: print("torn down", barn.exit_status))')
    state = box.daemon(SLEEP)
    wait_until(lambda: is_up(box), "the trap is set")
    init, supervisor = watched(state["init"]["pid"]), watched(state["supervisor"]["pid"])
    supervisor.kill(number)
    assert supervisor.ended()
    assert init.ended()
    assert log(box) == "up\ngot TERM\n"
    box.nothing_left()


def test_term_to_the_barn_stops_everything(box: Box, watched: Watch) -> None:
    with box.background(SLEEP) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        init = watched(box.state()["init"]["pid"])
        process.terminate()
        stdout, _ = finish(process, expect=4)
        assert stdout == "got TERM\n"
        assert init.ended(0)
    box.nothing_left()


def test_hangup_is_no_reason_for_a_daemon_to_end(box: Box, watched: Watch) -> None:
    state = box.daemon()
    supervisor = watched(state["supervisor"]["pid"])
    for _ in range(100):
        supervisor.kill(signal.SIGHUP)
    assert box.attach("echo", "alive").stdout == "alive\n"
    assert not supervisor.ended(0)
    box.stop()


SLOW = """\
while ! test -e /tmp/go; do sleep 0.01; done
trap 'echo once >>/tmp/asked; exit 0' TERM; while :; do sleep 0.05; done
"""


def test_stop_waits_for_a_handler_that_is_still_to_come(box: Box) -> None:
    box.daemon(SLOW)
    with box.haconiwa.start("stop", "-T", "1000", box.name) as process:
        assert process.stderr
        assert "has no handler for TERM yet, KILL follows in 1000 s" in process.stderr.readline()
        (box.root / "tmp/go").touch()
        finish(process)
    assert (box.root / "tmp/asked").read_text() == "once\n"
    box.nothing_left()


def test_term_to_the_supervisor_waits_for_a_handler_too(box: Box, watched: Watch) -> None:
    supervisor = watched(box.daemon(SLOW)["supervisor"]["pid"])
    supervisor.kill(signal.SIGTERM)
    wait_until(lambda: ask(box.name, {"do": "status"})["stopping"], "it has been asked to stop")
    (box.root / "tmp/go").touch()
    assert supervisor.ended()
    assert (box.root / "tmp/asked").read_text() == "once\n"
    box.nothing_left()


def test_stop_of_an_old_program_that_cannot_hear_term_is_quick(box: Box) -> None:
    process = box.daemon("exec sleep 1000")["init"]
    wait_until(lambda: age_s(Identity(**process)) > 0.1, "it has had the time for a handler")
    assert "has no handler for TERM, sending KILL" in box.haconiwa("stop", "-T", "0.1", box.name).stderr
    box.nothing_left()


def test_processes_outside_a_pid_namespace_are_ended_too(box: Box, watched: Watch) -> None:
    box.write(namespaces=("mount", "ipc", "uts"))
    state = box.daemon("sleep 1000 & setsid sleep 1000 & echo up; exec sleep 1000")
    wait_until(lambda: is_up(box), "it is up")
    with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
        inside = [watched(int(line)) for line in file]
    assert len(inside) == 3
    box.stop()
    assert all(process.ended(0) for process in inside)
    box.nothing_left()


def test_fork_bomb_is_ended(box: Box) -> None:
    box.write(namespaces=("mount", "ipc", "uts"))
    stubborn = "trap '' TERM; while :; do sleep 0.1; done"
    box.daemon(f"trap '' TERM; for n in $(seq 50); do ({stubborn}) & done; echo up; wait")
    wait_until(lambda: is_up(box), "it is up")
    box.haconiwa("stop", "-T", "0", box.name)
    box.nothing_left()


# --------------------------------------------------------------------------------------------------- a dead supervisor


def test_foreground_container_dies_with_its_supervisor(box: Box, watched: Watch) -> None:
    with box.background("trap '' HUP TERM; echo up; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        state = box.state()
        init = watched(state["init"]["pid"])
        os.kill(state["supervisor"]["pid"], signal.SIGKILL)
        finish(process, expect=125)
        assert init.ended(0)
    box.nothing_left()


def test_without_a_pid_namespace_it_dies_too(box: Box, watched: Watch) -> None:
    box.write(namespaces=("mount",))
    with box.background("sleep 1000 & echo up; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        state = box.state()
        with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
            inside = [watched(int(line)) for line in file]
        os.kill(state["supervisor"]["pid"], signal.SIGKILL)
        process.wait(20)
        assert len(inside) == 2
        assert all(one.ended() for one in inside)
    box.nothing_left()


@pytest.fixture
def orphan(box: Box, watched: Watch) -> Watched:
    """The first process of a daemon container whose supervisor was killed."""
    state = box.daemon(SLEEP)
    wait_until(lambda: is_up(box), "the trap is set")
    supervisor = watched(state["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    return watched(state["init"]["pid"])


def test_daemon_container_outlives_its_supervisor(box: Box, orphan: Watched) -> None:
    assert not orphan.ended(0)
    wait_until(lambda: box.status() == "orphaned", "ps says so")
    assert box.attach("echo", "alive").stdout == "alive\n"


def test_start_over_an_orphan_is_refused(box: Box, orphan: Watched) -> None:
    result = box.run("true", expect=125)
    assert result.stderr.splitlines()[:2] == [
        f"error: {box.name}: cannot start: its program still runs as pid {orphan.pid} though its supervisor is gone",
        f"  hint: run haconiwa start --adopt {box.file}, or haconiwa stop {box.name} first",
    ]
    assert not orphan.ended(0)
    assert box.status() == "orphaned"


def test_stop_ends_an_orphan_and_clears_up(box: Box, orphan: Watched) -> None:
    box.stop(timeout_s=10)
    assert orphan.ended(0)
    assert log(box) == "up\ngot TERM\n"
    box.nothing_left()


def test_kill_ends_an_orphan_and_clears_up(box: Box, orphan: Watched) -> None:
    box.haconiwa("kill", "-s", "KILL", box.name)
    assert orphan.ended(0)
    box.nothing_left()


@pytest.mark.parametrize("command", ["stop", "start", "gc"])
def test_what_an_orphan_without_a_pid_namespace_leaves_is_killed(box: Box, watched: Watch, command: str) -> None:
    box.write(namespaces=("mount",))
    state = box.daemon("sleep 1000 & echo up; while :; do sleep 1000; done")
    wait_until(lambda: is_up(box), "it is up")
    with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
        inside = [watched(int(line)) for line in file]
    for pid in (state["supervisor"]["pid"], state["init"]["pid"]):
        one = watched(pid)
        one.kill()
        assert one.ended()
    wait_until(lambda: box.status() == "stopped", "ps says so")
    if command == "start":
        box.run("true")
    else:
        box.haconiwa(command, *([] if command == "gc" else [box.name]))
    assert len(inside) >= 2
    assert all(one.ended() for one in inside)
    box.nothing_left()


def test_orphan_that_ends_is_cleared_up_by_the_next_start(box: Box, orphan: Watched) -> None:
    orphan.kill()
    assert orphan.ended()
    box.run("true")
    box.nothing_left()


# -------------------------------------------------------------------------------------------------------- stale records


def record(box: Box, **changes: object) -> dict[str, object]:
    """Take the record of a container that runs, end it, and write the record again with changes."""
    state = box.daemon()
    box.stop()
    box.run_dir.mkdir()
    state.update(changes)
    (box.run_dir / "state.json").write_text(json.dumps(state))
    return state


def test_record_of_a_process_that_is_gone(box: Box) -> None:
    record(box)
    assert box.status() == "stopped"
    result = box.attach("true", expect=125)
    assert f"error: {box.name}: is not running" in result.stderr
    assert box.run("echo", "again").stdout == "again\n"
    box.nothing_left()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the container."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("command", "status", "answer"),
    [
        (("kill", "-s", "KILL"), 125, "is not running"),
        (("stop",), 0, "had ended already"),
        (("attach",), 125, "is not running"),
    ],
)
def test_record_whose_pid_is_somebody_elses_now(
    box: Box, other: subprocess.Popen[bytes], command: tuple[str, ...], status: int, answer: str
) -> None:
    identity = {"pid": other.pid, "started_at": 1}
    record(box, init=identity, supervisor=identity)
    result = box.haconiwa(*command, box.name, expect=status)
    assert f"{box.name}: {answer}" in result.stderr
    box.run("true")
    assert other.poll() is None
    box.nothing_left()


@pytest.mark.parametrize("pid", [0, -1, 1, 2**31, 2**70])
def test_record_with_a_pid_that_stands_for_many(box: Box, pid: int) -> None:
    record(box, init={"pid": pid, "started_at": 1}, supervisor={"pid": pid, "started_at": 1})
    result = box.haconiwa("kill", "-s", "KILL", box.name, expect=125)
    assert "internal error" not in result.stderr
    box.run("true")


def test_record_of_another_boot(box: Box) -> None:
    state = box.daemon()
    identity = {"pid": os.getpid(), "started_at": 0}
    box.stop()
    box.run_dir.mkdir()
    state.update(boot_id="another", init=identity)
    (box.run_dir / "state.json").write_text(json.dumps(state))
    assert box.status() == "stopped"
    box.run("true")
    box.nothing_left()


@pytest.mark.parametrize(
    "content", ["", "{", "null", "[]", "{}", "\0" * 10, '{"name": 1}', "[" * 100000, '{"init": {"pid": 1}}', "\xff"]
)
def test_record_that_cannot_be_read(box: Box, content: str) -> None:
    box.run_dir.mkdir(parents=True)
    (box.run_dir / "state.json").write_text(content, encoding="latin-1")
    assert box.status() == "damaged"
    assert f'{box.name}: cannot read "{box.run_dir}/state.json"' in box.haconiwa("kill", box.name, expect=125).stderr
    assert box.run("echo", "again").stdout == "again\n"
    box.run_dir.mkdir()
    (box.run_dir / "state.json").write_text(content, encoding="latin-1")
    assert "nothing ran" in box.haconiwa("stop", box.name).stderr
    box.nothing_left()


def _make_fifo(path: Path) -> None:
    os.mkfifo(path)


def _make_directory(path: Path) -> None:
    path.mkdir()


def _make_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("make", [_make_fifo, _make_directory, _make_link, _make_socket])
def test_record_that_is_no_file(box: Box, make: Callable[[Path], None]) -> None:
    box.run_dir.mkdir(parents=True)
    path = box.run_dir / "state.json"
    make(path)
    assert box.status() == "damaged"
    result = box.run("true", expect=125 if path.is_dir() else 0)
    assert ("cannot record its state" in result.stderr) == path.is_dir()
    assert "failed" not in result.stderr
    if path.is_dir():
        path.rmdir()
        (box.run_dir / "lock").unlink(missing_ok=True)
        box.run_dir.rmdir()
    box.nothing_left()


def test_state_directory_that_is_a_link_is_refused(box: Box) -> None:
    box.run_dir.parent.mkdir(parents=True, exist_ok=True)
    (box.folder / "elsewhere").mkdir()
    box.run_dir.symlink_to(box.folder / "elsewhere")
    assert "is not a directory of ours" in box.fails("true")
    assert not list((box.folder / "elsewhere").iterdir())
    box.run_dir.unlink()


def test_stale_lock_file_is_no_lock(box: Box) -> None:
    box.run_dir.mkdir(parents=True)
    (box.run_dir / "lock").touch()
    box.run("true")
    box.nothing_left()


def test_stale_pid_file_is_overwritten(box: Box) -> None:
    box.pid_file.write_text("1\n")
    state = box.daemon()
    assert box.pid_file.read_text() == f"{state['supervisor']['pid']}\n"
    box.stop()
    box.nothing_left()


def test_pid_file_that_is_a_link_is_replaced_and_not_followed(box: Box) -> None:
    victim = box.folder / "victim"
    victim.write_text("untouched")
    box.pid_file.symlink_to(victim)
    box.daemon()
    assert victim.read_text() == "untouched"
    box.stop()


def test_full_run_directory_fails_before_anything(box: Box, run_dirs: RunDirs) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "tmpfs", str(run_dirs.run.parent)], check=True)
    try:
        result = box.run("echo", "must not run", expect=125)
        assert result.stdout == ""
        assert "(ENOSPC)" in result.stderr or "No space left on device" in result.stderr
        assert "internal error" not in result.stderr
    finally:
        subprocess.run(["umount", "-l", str(run_dirs.run.parent)], check=True)


def test_group_with_a_foreign_process_is_left_alone(box: Box, other: subprocess.Popen[bytes]) -> None:
    state = box.daemon()
    box.stop()
    group = Path(state["cgroups"][0])
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(str(other.pid))
    assert f'cannot create the cgroup "{group}": it exists and has processes in it' in box.fails("true")
    assert other.poll() is None
    other.kill()
    wait_until(lambda: not (group / "cgroup.procs").read_text(), "it is empty")
    box.run("true")
    box.nothing_left()


def test_stop_names_a_group_that_a_foreign_process_keeps(box: Box, other: subprocess.Popen[bytes]) -> None:
    state = box.daemon()
    group = Path(state["cgroups"][0])
    (group / "cgroup.procs").write_text(str(other.pid))
    error = box.haconiwa("stop", "-T", "0", box.name, expect=125).stderr
    assert f'{box.name}: has ended, but the cgroup "{group}" stays: something else put processes into it: ' in error
    assert error.splitlines()[-2].endswith(f": {other.pid}")
    assert other.poll() is None
    other.kill()
    wait_until(lambda: not (group / "cgroup.procs").read_text(), "it is empty")
    box.run("true")
    box.nothing_left()


def test_supervisor_is_small(box: Box) -> None:
    state = box.daemon()
    with open(f"/proc/{state['supervisor']['pid']}/status", encoding="ascii") as file:
        resident_kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident_kb < 40 << 10
    assert len(os.listdir(f"/proc/{state['supervisor']['pid']}/fd")) < 30
    box.stop()
