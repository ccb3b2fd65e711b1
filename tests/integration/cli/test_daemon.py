"""The commands on containers in the background."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.box import Box, Watched, finish, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

# the first process of a container hears only the signals that it handles
PATIENT = "trap 'exit 3' TERM; trap 'echo hup > /tmp/hup' HUP; touch /tmp/ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; touch /tmp/ready; while :; do sleep 1; done"


@pytest.fixture
def start(box: Box) -> Callable[[str], dict[str, Any]]:
    def run(script: str) -> dict[str, Any]:
        state = box.daemon(script)
        wait_until((box.root / "tmp/ready").exists, "the program is ready")
        return state

    return run


def rows(haconiwa: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(haconiwa("ps", "--json").stdout)
    return found


def test_ps_shows_it(box: Box, haconiwa: Program) -> None:
    state = box.daemon()
    (row,) = rows(haconiwa)
    assert row == {
        "name": box.name,
        "pid": state["init"]["pid"],
        "supervisor_pid": state["supervisor"]["pid"],
        "status": "running",
        "created_at": state["created_at"],
        "command": ["/bin/sh", "-c", "echo ready; exec sleep 1000"],
        "root": str(box.root),
        "metadata": {},
    }
    head, line = haconiwa("ps").stdout.splitlines()
    assert line.split()[:4] == [box.name, str(row["pid"]), str(row["supervisor_pid"]), "running"]
    assert head.index("STATUS") == line.index("running")
    assert haconiwa("ps", "-q").stdout == haconiwa("list", "-q").stdout == f"{box.name}\n"


@pytest.mark.parametrize("by", ["name", "file", "link"])
def test_found_by_name_and_by_file(box: Box, haconiwa: Program, by: str) -> None:
    box.daemon()
    box.file.write_text("raise SystemExit('executed')", encoding="utf-8")  # whatever it says now
    link = box.folder / "link.haco"
    link.symlink_to(box.file)
    word = {"name": box.name, "file": box.file.name, "link": str(link)}[by]
    (found,) = json.loads(haconiwa("inspect", word, cwd=box.folder).stdout)
    assert found["name"] == box.name
    assert found["pid"] in found["processes"]
    assert found["config"]["init_command"][0] == "/bin/sh"
    assert sorted(found["cgroups"]) == sorted(box.groups())
    haconiwa("stop", "-T", "0", word, cwd=box.folder)
    assert rows(haconiwa) == []


def test_stop_lets_it_end_by_itself(box: Box, haconiwa: Program, start: Callable[[str], Any]) -> None:
    start(PATIENT)
    assert haconiwa("stop", box.name).stderr == ""
    box.nothing_left()


def test_stop_ends_what_does_not(box: Box, haconiwa: Program, start: Callable[[str], Any]) -> None:
    start(STUBBORN)
    haconiwa("stop", "-T", "0.2", box.name)
    box.nothing_left()


def test_stop_of_what_is_not_there(haconiwa: Program) -> None:
    error = haconiwa("stop", "nothing", expect=125).stderr
    assert error == 'error: cannot find a container "nothing"\n  hint: haconiwa ps lists those that exist\n'


def test_a_file_of_which_nothing_runs(box: Box, haconiwa: Program) -> None:
    box.file.write_text("", encoding="utf-8")
    hint = f"haconiwa start {box.file} starts what it describes"
    for command in ("stop", "kill", "attach"):
        error = haconiwa(command, box.file, expect=125).stderr
        assert error == f'error: nothing of "{box.file}" runs\n  hint: {hint}\n'


def test_kill_waits_for_the_end(
    box: Box, haconiwa: Program, start: Callable[[str], Any], watched: Callable[[int], Watched]
) -> None:
    process = watched(start(PATIENT)["init"]["pid"])
    haconiwa("kill", box.name)
    assert process.ended(0)
    box.nothing_left()


def test_kill_never_escalates(box: Box, haconiwa: Program, start: Callable[[str], Any]) -> None:
    start(STUBBORN)
    error = haconiwa("kill", "-T", "0.2", box.name, expect=125).stderr
    assert f"error: {box.name}: still runs 0.2 s after SIGTERM\n" in error
    assert box.status() == "running"


def test_kill_need_not_wait(box: Box, haconiwa: Program, start: Callable[[str], Any]) -> None:
    start(PATIENT)
    haconiwa("kill", "-s", "SIGHUP", "-T", "-1", box.name)
    wait_until((box.root / "tmp/hup").exists, "the signal has come")
    assert box.status() == "running"


@pytest.mark.parametrize("who", ["init", "supervisor"])
def test_kill_by_pid(box: Box, haconiwa: Program, start: Callable[[str], Any], who: str) -> None:
    pid = start(PATIENT)[who]["pid"]
    error = haconiwa("kill", "-t", str(os.getpid()), box.file, expect=125).stderr
    assert f'has no container with pid "{os.getpid()}"' in error
    haconiwa("kill", "-t", str(pid), box.file)
    assert rows(haconiwa) == []


def test_killed_supervisor_leaves_an_orphan(box: Box, haconiwa: Program, watched: Callable[[int], Watched]) -> None:
    state = box.daemon()
    supervisor = watched(state["supervisor"]["pid"])
    supervisor.kill()
    assert supervisor.ended()
    (row,) = rows(haconiwa)
    assert (row["status"], row["pid"], row["supervisor_pid"]) == ("orphaned", state["init"]["pid"], None)
    assert "still runs" in box.fails()
    haconiwa("stop", "-T", "0", box.name)
    box.nothing_left()


HANGS = """
import select

@config.add_general_hook({point!r})
def hang(base):
    select.select([], [], [])
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before_start_wait", "teardown_container"])
def test_a_program_that_has_ended_under_a_hook_that_hangs(box: Box, haconiwa: Program, point: str) -> None:
    box.write(rest=HANGS.format(point=point))
    with box.background("exec sleep 1000") as process:
        wait_until(lambda: box.status() == "running", "it runs")
        state = box.state()
        os.kill(state["init"]["pid"], signal.SIGKILL)
        wait_until(lambda: box.status() == "stopping", "its end is seen")
        (row,) = rows(haconiwa)
        assert (row["pid"], row["supervisor_pid"]) == (None, state["supervisor"]["pid"])
        error = haconiwa("stop", "-T", "1", box.name, expect=125).stderr
        assert f'still runs: one of its hooks hangs: {point} "hang"\n' in error
        process.terminate()
        finish(process, expect=None)
    box.nothing_left()


@pytest.mark.parametrize("command", ["stop", "kill"])
def test_what_is_left_of_the_dead_is_cleared(
    box: Box, haconiwa: Program, watched: Callable[[int], Watched], command: str
) -> None:
    state = box.daemon()
    for pid in (state["supervisor"]["pid"], state["init"]["pid"]):
        process = watched(pid)
        process.kill()
        assert process.ended()
    (row,) = rows(haconiwa)
    assert (row["status"], row["pid"]) == ("stopped", None)
    message = haconiwa(command, box.name, expect={"stop": 0, "kill": 125}[command]).stderr
    assert ("had ended already" if command == "stop" else "is not running") in message
    box.nothing_left()


def test_second_start_is_refused(box: Box) -> None:
    box.daemon()
    error = box.fails("/bin/true")
    assert f"{box.name}: cannot start: it is already running" in error
    assert box.status() == "running"


def test_rm_waits_for_nobody(box: Box, haconiwa: Program) -> None:
    box.daemon()
    error = haconiwa("rm", "--force", box.file, expect=125).stderr
    assert f'the container "{box.name}" runs in it' in error
    haconiwa("stop", "-T", "0", box.name)
    assert "it was not made by haconiwa" in haconiwa("rm", box.file, expect=125).stderr
    assert haconiwa("rm", "--force", box.file).stderr == f"Removed rootfs {box.root}\n"
    assert not box.root.exists()
    assert haconiwa("rm", box.file).stderr == f"There is no rootfs {box.root}\n"


BARN = """\
from haconiwa import define
with define() as barn:
    barn.daemonize()
    barn.chroot_to({root!r})
    barn.container_pid_file = {folder!r} + "/run/barn.pid"
    barn.mount_independent("procfs", "devtmpfs")
    barn.namespace.unshare("mount", "ipc", "uts", "pid")
    for number in range(3):
        with barn.define() as c:
            c.name = f"{name}-{{number}}"
            c.container_pid_file = f"{folder}/run/{{number}}.pid"
            c.init_command = ["/bin/sleep", "1000"]
"""


@pytest.fixture
def stopped_after(box: Box, haconiwa: Program) -> Iterator[None]:
    yield
    haconiwa("stop", "-T", "0", box.file, expect=None)


@pytest.mark.usefixtures("stopped_after")
def test_commands_on_a_barn(box: Box, haconiwa: Program) -> None:
    box.file.write_text(BARN.format(root=str(box.root), folder=str(box.folder), name=box.name), encoding="utf-8")
    names = [f"{box.name}-{number}" for number in range(3)]
    haconiwa("start", box.file)
    assert sorted(haconiwa("ps", "-q").stdout.split()) == names
    assert sorted(found["name"] for found in json.loads(haconiwa("inspect", box.file).stdout)) == names
    (found,) = json.loads(haconiwa("inspect", "-n", names[1], box.file).stdout)
    assert found["name"] == names[1]
    listed = f"error: several containers run from that file: {', '.join(names)}; choose one with -n\n"
    assert haconiwa("--quiet", "attach", box.file, "--", "true", expect=2).stderr == listed
    error = haconiwa("attach", "-n", "other", box.file, "--", "true", expect=2).stderr
    assert error == f'error: "{box.file}" has no container "other"; there are {", ".join(names)}\n'
    assert haconiwa("attach", "-n", names[2], box.file, "--", "hostname").stdout == f"{names[2]}\n"
    haconiwa("kill", "-s", "KILL", "-n", names[1], box.file)
    assert sorted(haconiwa("ps", "-q").stdout.split()) == [names[0], names[2]]
    assert f'has no container with name "{names[1]}"' in haconiwa("stop", "-n", names[1], box.file, expect=125).stderr
    haconiwa("stop", "-T", "0", box.file)
    assert haconiwa("ps", "-q").stdout == ""


def test_stop_while_a_hook_delays_the_start(box: Box, haconiwa: Program) -> None:
    box.write(rest="@config.add_general_hook('before_fork')\ndef wait(base):\n    os.read(os.pipe()[0], 1)\n")
    with haconiwa.start("start", box.file) as process:
        wait_until(lambda: box.status() == "creating", "the supervisor has recorded itself")
        haconiwa("stop", "-T", "5", box.name)
        assert process.wait(20) == 125
        assert process.stderr is not None
        assert 'the before_fork hook "wait" was interrupted' in process.stderr.read()
    box.nothing_left()
