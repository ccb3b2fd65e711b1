"""Containers in the background that have lost their supervisor, and get another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunDirs
from tests.integration.box import HEEDS_TERM, Box, Watched, finish, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

Watch = Callable[[int], Watched]
PROGRAM = "trap 'echo TERM; exit 4' TERM; echo up; while :; do sleep 0.05; done"
LIFE = """
config.add_async_hook(lambda base: base.log(f"timer {base.status}"), msec=1)
config.add_signal_handler("USR1", lambda base: base.log("USR1"))
for point in ("before_fork", "after_network_created", "immediately_after_fork_on_parent", "before_start_wait",
              "after_reload", "teardown_container", "after_failure", "setup", "teardown"):
    config.add_general_hook(point, lambda base, point=point: print(f"hook {point} {base.exit_status}"))
"""


def told(status: int) -> set[int | None]:
    """What may be known of the end of an adopted container: its exit status, before Linux 6.15 maybe nothing."""
    release = os.uname().release.split(".")
    return {status} if (int(release[0]), int(release[1])) >= (6, 15) else {status, None}


def log(box: Box, kind: str = "") -> str:
    path = Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}{kind}.log"
    return path.read_text() if path.exists() else ""


OF_THE_OLD_BARN = "hook teardown 125\n"
"""What is called when the supervisor that was killed was the last of its barn."""


def barn_of(supervisor: int) -> int:
    """The parent of a supervisor."""
    return int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])


def end(watched: Watch, *pids: int) -> None:
    for one in [watched(pid) for pid in pids]:
        one.kill()
        assert one.ended()


def orphan(box: Box, watched: Watch, script: str = PROGRAM) -> dict[str, Any]:
    """Start it, wait until its program has said so, and kill the supervisor."""
    state = box.daemon(script)
    wait_until(lambda: log(box), "its program is up")
    end(watched, state["supervisor"]["pid"])
    assert box.status() == "orphaned"
    return state


def adopt(box: Box, *options: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return box.haconiwa("start", "--adopt", *options, box.file, expect=expect)


@pytest.mark.parametrize("killed", ["supervisor", "barn", "both"])
def test_it_goes_on_with_its_hooks(box: Box, watched: Watch, killed: str) -> None:
    box.write(rest=LIFE)
    before = box.daemon(PROGRAM)
    supervisor = before["supervisor"]["pid"]
    wait_until(lambda: "timer" in log(box, ".supervisor") and log(box), "it is up")
    barn = barn_of(supervisor)
    if killed != "supervisor":
        end(watched, barn)
        assert box.status() == "running"
        adopt(box, expect=125)
    end(watched, supervisor)
    mark = len(log(box, ".supervisor"))
    answer = adopt(box).stderr
    after = box.state()
    assert answer.splitlines()[-1] == f"{box.name}: pid={before['init']['pid']} supervisor={after['supervisor']['pid']}"
    assert after["init"] == before["init"]
    assert after["created_at"] == before["created_at"]
    assert after["config"] == before["config"]
    assert box.status() == "running"
    assert box.pid_file.read_text() == f"{after['supervisor']['pid']}\n"
    wait_until(lambda: "timer running" in log(box, ".supervisor")[mark:], "the timer has begun anew")
    os.kill(after["supervisor"]["pid"], signal.SIGUSR1)
    wait_until(lambda: f"{box.name}: USR1" in log(box, ".supervisor")[mark:], "the handler was called")
    box.haconiwa("reload", box.name)
    assert box.attach("echo", "alive").stdout == "alive\n"
    box.stop(timeout_s=10)

    def said() -> str:
        return log(box, ".supervisor")[mark:].replace(OF_THE_OLD_BARN, "")

    wait_until(lambda: "hook teardown " in said(), "the barn has ended")
    ends = ("after_reload None", "teardown_container {0}", "after_failure {0}", "teardown {0}")
    assert [line for line in said().splitlines() if line.startswith("hook ")] in [
        [f"hook {end.format(status)}" for end in ends] for status in told(4)
    ]
    wait_until(lambda: log(box) == "up\nTERM\n", "the relay has written")
    assert [event["event"] for event in box.events("adopted", "exited", "removed")] == ["adopted", "exited", "removed"]
    box.nothing_left()


def test_what_is_not_orphaned(box: Box, watched: Watch) -> None:
    assert (
        f"{box.name} does not run (haconiwa start -D -n {box.name} {box.file} starts it)"
        in adopt(box, expect=125).stderr
    )
    state = box.daemon(PROGRAM)
    assert f"{box.name} has a supervisor, pid {state['supervisor']['pid']}" in adopt(box, expect=125).stderr
    end(watched, state["supervisor"]["pid"])
    adopt(box)
    assert "has a supervisor" in adopt(box, expect=125).stderr
    state = box.state()
    end(watched, state["supervisor"]["pid"], state["init"]["pid"])
    wait_until(lambda: box.status() == "stopped", "both have ended")
    assert "does not run" in adopt(box, expect=125).stderr
    assert (
        "-T and a command cannot be given"
        in box.haconiwa("start", "--adopt", "-T", box.file, "--", "true", expect=2).stderr
    )
    box.stop()


def test_eight_at_once_and_one_wins(box: Box, watched: Watch) -> None:
    state = orphan(box, watched)
    argv = [box.haconiwa.path, "start", "--adopt", str(box.file)]
    processes = [
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=box.haconiwa.environ())
        for _ in range(8)
    ]  # fmt: skip
    results = [(process.returncode, messages) for process in processes if (messages := finish(process, None)[1])]
    assert sorted(status for status, _ in results) == [0] + [125] * 7
    for status, messages in results:
        assert ("already running" in messages or "has a supervisor" in messages) == (status == 125)
    assert box.state()["init"] == state["init"]
    assert box.attach("echo", "alive").stdout == "alive\n"
    assert len(box.events("adopted")) == 1
    box.stop()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any container."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("started_at", [True, False])
def test_a_record_of_somebody_elses_process(
    box: Box, watched: Watch, stranger: subprocess.Popen[bytes], started_at: bool
) -> None:
    state = orphan(box, watched)
    fields = Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()
    forged = {"pid": stranger.pid, "started_at": int(fields[19]) if started_at else state["init"]["started_at"]}
    path = box.run_dir / "state.json"
    path.write_text(json.dumps({**state, "init": forged}))
    messages = adopt(box, expect=125).stderr
    assert (f"the process {stranger.pid} is none of its groups' any more" in messages) == started_at
    assert ("does not run" in messages) != started_at
    path.write_text(json.dumps(state))
    assert box.status() == "orphaned"
    adopt(box)
    box.stop()


def test_another_file_of_that_name_is_refused(box: Box, watched: Watch) -> None:
    orphan(box, watched)
    other = box.file.with_name("other.haco")
    other.write_text(box.file.read_text())
    assert f'it was started from "{box.file}"' in box.haconiwa("start", "--adopt", other, expect=125).stderr
    assert box.status() == "orphaned"
    adopt(box)
    box.stop()


def test_the_root_was_replaced_on_the_host(box: Box, watched: Watch) -> None:
    orphan(box, watched)
    moved = box.root.with_name("moved")
    box.root.rename(moved)
    box.root.mkdir()
    adopt(box)
    assert box.attach("echo", "alive").stdout == "alive\n"
    box.stop()
    box.root.rmdir()
    moved.rename(box.root)


def test_what_differs_is_said_and_ignored(box: Box, watched: Watch) -> None:
    box.write("config.resource.set_limit('NOFILE', 300)")
    orphan(box, watched)
    box.write("config.resource.set_limit('NOFILE', 200)\nconfig.workdir = '/tmp'", 'config.namespace.unshare("time")')
    messages = adopt(box).stderr
    assert (
        f"{box.name}: its limits stay as they are until haconiwa reload: NOFILE: 300, hard 300 -> 200, hard 200"
        in messages
    )
    assert f"{box.name}: only a start takes over what has changed in namespaces, workdir" in messages
    assert box.attach("sh", "-c", "ulimit -n; pwd").stdout == "300\n/\n"
    box.haconiwa("reload", box.name)
    assert box.attach("sh", "-c", "ulimit -n").stdout == "200\n"
    box.stop()


def test_it_is_started_again_by_its_policy_with_the_command_that_it_had(box: Box, watched: Watch) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    orphan(box, watched, "echo run; read go </tmp/go; exit 3")
    box.write(rest='config.restart_policy("on-failure", max_retries=1, backoff_sec=0)')
    adopt(box)
    for runs in (1, 2):
        wait_until(lambda: log(box) == "run\n" * runs, "it runs")  # noqa: B023 - called at once
        (box.root / "tmp" / "go").write_text("\n")
    wait_until(lambda: not box.run_dir.exists(), "it has ended twice")
    assert log(box) == "run\nrun\n"
    assert [event.get("exit_status") for event in box.events("exited")] in [[status, 3] for status in told(3)]
    (box.root / "tmp" / "go").unlink()


@pytest.mark.setting("add_readiness_hook", "healthcheck")
def test_readiness_and_health_go_on(box: Box, watched: Watch) -> None:
    box.write(
        rest="""
        config.add_readiness_hook(file="/tmp/ready", interval_msec=10)
        config.healthcheck(file="/tmp/healthy", interval_sec=1, retries=1, action="none")
        """
    )
    orphan(box, watched)
    adopt(box)
    (box.root / "tmp" / "healthy").touch()
    (box.root / "tmp" / "ready").touch()
    wait_until(lambda: box.events("ready"), "it is ready")
    end(watched, box.state()["supervisor"]["pid"])
    adopt(box, "--wait-ready")
    assert len(box.events("ready")) == 1
    (box.root / "tmp" / "healthy").unlink()
    wait_until(lambda: len(box.events("unhealthy")) > len(box.events("healthy")), "it is unhealthy")
    box.stop()
    (box.root / "tmp" / "ready").unlink()


@pytest.mark.setting("add_cgroup_hook")
def test_cgroup_hooks(box: Box, watched: Watch) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    box.write(
        'config.cgroup["pids.max"] = "3"', 'config.add_cgroup_hook(lambda base: base.log("full"), type="pids_max")'
    )
    orphan(box, watched, "echo up; read go </tmp/go; (sleep 1 & sleep 1 & sleep 1); exec sleep 1000")
    box.write(
        'config.cgroup["pids.max"] = "3"',
        """
        config.add_cgroup_hook(lambda base: base.log("full"), type="pids_max")
        config.add_cgroup_hook(print, type="oom")
        """,
    )
    assert f"{box.name}: 1 of its cgroup hooks will not be called: it has no group for them" in adopt(box).stderr
    (box.root / "tmp" / "go").write_text("\n")
    wait_until(lambda: f"{box.name}: full" in log(box, ".supervisor"), "the hook was called")
    box.stop()
    (box.root / "tmp" / "go").unlink()


def test_a_layer_that_is_thrown_away(box: Box, watched: Watch) -> None:
    box.haconiwa("start", "-D", "--ephemeral", box.file, "--", "sh", "-c", "touch /changed; echo up; exec sleep 1000")
    wait_until(lambda: log(box), "its program is up")
    end(watched, box.state()["supervisor"]["pid"])
    layers = box.root.parent / f".{box.root.name}.layers" / "thrown"
    assert os.listdir(layers) == [box.name]
    adopt(box)
    box.stop()
    assert os.listdir(layers) == []


def test_some_of_a_barn(haconiwa: Program, run_dirs: RunDirs, busybox_root: Path, watched: Watch) -> None:
    names = [f"adopt-{os.getpid()}-{word}" for word in ("one", "two", "three")]
    file = run_dirs.base / "barn.haco"
    file.write_text(
        f"""\
from haconiwa import define
with define() as barn:
    barn.daemonize()
    barn.chroot_to({str(busybox_root)!r})
    barn.namespace.unshare("pid", "mount")
    barn.container_pid_file = {str(run_dirs.base / "barn.pid")!r}
    for name in {names!r}:
        with barn.define() as c:
            c.name = name
            c.container_pid_file = f"{run_dirs.base}/{{name}}.pid"
            c.init_command = {["/bin/sh", "-c", HEEDS_TERM]!r}
            c.after = {names!r}[:{names!r}.index(name)]
@barn.add_general_hook("teardown")
def torn(barn):
    with open({str(run_dirs.base / "torn")!r}, "a") as file:
        file.write(" ".join(barn.containers))
""",
        encoding="utf-8",
    )

    def supervisors() -> dict[str, int | None]:
        return {row["name"]: row["supervisor_pid"] for row in json.loads(haconiwa("ps", "--json").stdout)}

    haconiwa("start", file)
    first = supervisors()
    pids = [pid for pid in first.values() if pid]
    end(watched, pids[0], pids[2])
    answer = haconiwa("start", "--adopt", "-n", names[2], file).stderr
    assert answer.startswith(f"{names[2]}: pid=")
    assert supervisors() == {**first, names[0]: None, names[2]: supervisors()[names[2]]}
    messages = haconiwa("start", "--adopt", file).stderr.splitlines()
    assert sum("has a supervisor, pid" in line and line.endswith("so it is left alone") for line in messages) == 2
    assert messages[-1].startswith(f"{names[0]}: pid=")
    assert all(supervisors().values())
    haconiwa("stop", file)
    assert supervisors() == {}
    wait_until(lambda: (run_dirs.base / "torn").read_text().count("adopt") == 5, "every barn has ended")
