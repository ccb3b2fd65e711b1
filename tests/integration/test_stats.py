"""What real containers use, as `haconiwa stats` and their supervisors tell it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from haconiwa.lifecycle.ask import ask
from tests.integration.box import Box, Watched, ends, wait_until
from tests.support.program import TREE, Program

pytestmark = pytest.mark.requires("root", "busybox")

BURN = "while :; do :; done"
LIMITED = (
    'config.cgroup["memory.max"] = "64M"\nconfig.cgroup["pids.max"] = 20\nconfig.cgroup["cpu.max"] = "20000 100000"'
)


def figures(box: Box, *more: str) -> dict[str, Any]:
    (row,) = json.loads(box.haconiwa("stats", "--no-stream", "--json", *more, box.name).stdout)
    assert isinstance(row, dict)
    return row


def of_group(box: Box, *names: str) -> int:
    """What one of those files of its groups says."""
    paths = [Path(group, name) for group in box.state()["cgroups"] for name in names]
    return int(next(path.read_text() for path in paths if path.exists()))


@pytest.mark.layouts
def test_a_busy_container_with_limits(box: Box) -> None:
    box.write(LIMITED)
    box.daemon(f"({BURN}) & exec sleep 1000")
    wait_until(lambda: figures(box)["pids"] == 2, "both of its processes are there")
    before = figures(box)
    wait_until(lambda: figures(box)["cpu_seconds"] > before["cpu_seconds"] + 0.01, "the processor works for it")
    kernel_says = of_group(box, "memory.current", "memory.usage_in_bytes")
    row = figures(box)
    assert row["cpu_percent"] > 0
    assert kernel_says / 2 <= row["memory"] <= kernel_says * 2
    assert (row["memory_limit"], row["pids_limit"]) == (64 << 20, 20)
    assert (row["status"], row["pid"]) == ("running", box.state()["init"]["pid"])
    assert not {"memory", "pids"} & set(row["of_processes"])
    text = box.haconiwa("stats", "--no-stream", box.name).stdout.splitlines()
    assert text[0].split()[:4] == ["NAME", "CPU", "MEMORY", "LIMIT"]
    assert re.match(rf"{box.name}  ~?[0-9.]+%  [0-9.]+ [KM]iB  64 MiB  2 ", text[1])


@pytest.mark.layouts
def test_memory_at_rest_is_what_the_group_says(box: Box) -> None:
    box.write(LIMITED)
    box.daemon("echo up; exec sleep 1000")
    seen = []

    def agree() -> bool:
        before = of_group(box, "memory.current", "memory.usage_in_bytes")
        seen.append((before, figures(box)["memory"]))
        return bool(before == seen[-1][1])

    wait_until(agree, f"both say the same: {seen}")


@pytest.mark.layouts
def test_a_container_without_limits(box: Box) -> None:
    box.write(namespaces=("mount", "ipc", "uts", "pid", "net"))
    state = box.daemon("echo some >/file; sync; ping -c 1 -s 100 127.0.0.1; echo up >/up; exec sleep 1000")
    wait_until((box.root / "up").exists, "it has done its work")
    row = figures(box)
    assert row["memory"] > 0
    assert row["memory_limit"] is None
    assert row["pids"] == 1
    io = dict(line.split(": ") for line in Path(f"/proc/{state['init']['pid']}/io").read_text().splitlines())
    if "io" in row["of_processes"]:
        assert (row["read_bytes"], row["written_bytes"]) == (int(io["read_bytes"]), int(io["write_bytes"]))
    assert (row["received_bytes"], row["sent_bytes"]) == (0, 0), "the loopback does not count"
    loopback = next(interface for interface in row["interfaces"] if interface["name"] == "lo")
    assert loopback["received_bytes"] == loopback["sent_bytes"] >= 200
    assert ask(box.name, {"do": "stats"})["interfaces"] == row["interfaces"]


def test_the_network_of_the_host_is_not_the_containers(box: Box) -> None:
    box.daemon()
    row = figures(box)
    assert (row["received_bytes"], row["interfaces"]) == (None, [])


def test_the_supervisor_tells_the_same(box: Box) -> None:
    box.write(LIMITED)
    box.daemon()
    answer = ask(box.name, {"do": "stats"})
    row = figures(box)
    assert set(answer) == {*row, "ok"}
    same = ("name", "status", "pid", "memory_limit", "pids", "pids_limit", "interfaces", "of_processes")
    assert {key: answer[key] for key in same} == {key: row[key] for key in same}


def test_one_whose_supervisor_was_killed(box: Box) -> None:
    state = box.daemon()
    watched = Watched(state["supervisor"]["pid"])
    watched.kill()
    assert watched.ended()
    watched.close()
    row = figures(box)
    assert (row["status"], row["pids"]) == ("orphaned", 1)
    os.kill(state["init"]["pid"], signal.SIGKILL)
    wait_until(lambda: figures(box)["status"] == "stopped", "it has ended")
    assert figures(box)["memory"] is None


def test_between_two_runs(box: Box) -> None:
    box.write(rest='config.restart_policy("always", backoff_sec=600)')
    box.daemon("exit 3")
    wait_until(lambda: box.status() == "restarting", "it waits")
    row = figures(box)
    assert (row["status"], row["pid"], row["cpu_percent"]) == ("restarting", None, None)


def test_a_name_that_is_not_there(box: Box) -> None:
    assert f'cannot find a container "{box.name}"' in box.haconiwa("stats", box.name, expect=125).stderr
    assert box.haconiwa("stats").stderr == "no container exists\n"


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_stream_ends_with_its_reader(box: Box, options: list[str]) -> None:
    box.daemon()
    process = box.haconiwa.start("stats", *options)
    assert process.stdout is not None
    per_look = 1 if options else 3
    lines = [process.stdout.readline() for _ in range(2 * per_look)]
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    process.communicate()
    if options:
        assert [json.loads(line)[0]["name"] for line in lines] == [box.name] * 2
    else:
        assert [line.split()[:1] for line in lines] == [["NAME"], [box.name], []] * 2


def test_a_screen_shows_what_comes_and_goes(box: Box, haconiwa_pty: Callable[..., pexpect.spawn[str]]) -> None:
    pytest.importorskip("rich")
    box.write(LIMITED)
    box.daemon(BURN)
    terminal = haconiwa_pty("stats")
    terminal.expect_exact("\x1b[?1049h")
    terminal.expect(rf"{box.name}\x1b\[0m  ~?[0-9.]+%.*▁")
    terminal.setwinsize(24, 200)
    terminal.expect("STATUS")
    terminal.expect("running")
    terminal.setwinsize(24, 30)
    terminal.expect(r"\x1b\[H(?:(?!PIDS)[^\x1b]|\x1b\[[0-9;]*m)*\x1b\[K")
    box.stop()
    terminal.expect_exact("no container exists")
    box.daemon()
    terminal.expect_exact(box.name)
    terminal.send("q")
    rest = ends(terminal, 0)
    assert "\x1b[?25h" in rest, "the cursor is visible"
    assert rest.endswith("\x1b[?1049l"), "what was on the terminal before is there again"


@pytest.mark.parametrize("end", ["Q", "\x03"])
def test_a_screen_without_colours(box: Box, haconiwa: Program, end: str) -> None:
    box.daemon()
    terminal = haconiwa.on_terminal("stats", box.name, environ={"NO_COLOR": "1"})
    terminal.expect(rf"{box.name}.*%")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", str(terminal.before) + str(terminal.after))
    terminal.send(end)
    ends(terminal, 0)


def test_a_terminal_that_cannot_be_drawn_on_gets_text(box: Box, haconiwa: Program) -> None:
    box.daemon()
    terminal = haconiwa.on_terminal("stats", environ={"TERM": "dumb"})
    terminal.expect_exact(box.name)
    terminal.expect("NAME")
    assert "\x1b" not in str(terminal.before)
    terminal.sendintr()
    ends(terminal, 130)


def test_the_terminal_is_given_back_while_it_is_stopped(
    box: Box, haconiwa_pty: Callable[..., pexpect.spawn[str]]
) -> None:
    box.daemon()
    terminal = haconiwa_pty("stats")
    terminal.expect_exact(box.name)
    assert terminal.pid is not None
    terminal.send("\x1a")
    terminal.expect_exact("\x1b[?1049l")
    os.waitid(os.P_PID, terminal.pid, os.WSTOPPED | os.WNOWAIT)
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.expect_exact("\x1b[?1049h")
    terminal.expect_exact(box.name)
    terminal.send("q")
    ends(terminal, 0)


def test_a_screen_without_rich(box: Box, tmp_path: Path) -> None:
    """A rich that cannot be imported lies before the real one."""
    (tmp_path / "rich.py").write_text("raise ImportError\n", encoding="ascii")
    launcher = tmp_path / "haconiwa"
    source = os.path.join(TREE, "src")
    code = f"import sys\nsys.path[:0] = [{str(tmp_path)!r}, {source!r}]\nfrom haconiwa.cli.main import main\nmain()\n"
    launcher.write_text(f"#!{sys.executable}\n{code}", encoding="ascii")
    launcher.chmod(0o755)
    box.daemon()
    terminal = Program(str(launcher), {}).on_terminal("stats", columns=40)
    terminal.expect_exact("notice: graphs and colours take Python's rich")
    terminal.expect_exact("\x1b[?1049h")
    for _ in range(2):
        terminal.expect(rf"\x1b\[HNAME +CPU[A-Z ]*\x1b\[K\r\n{box.name}  ")
    assert "notice" not in str(terminal.before)
    terminal.send("q")
    ends(terminal, 0)


def test_it_needs_no_terminal_to_read_from(box: Box, haconiwa: Program) -> None:
    box.daemon()
    terminal = pexpect.spawn(
        "/bin/sh", ["-c", f"exec {haconiwa.path} stats </dev/null"],
        encoding="utf-8", timeout=20, env=haconiwa.environ({"TERM": "xterm"}),
    )  # fmt: skip
    terminal.expect_exact(box.name)
    terminal.expect_exact("\x1b[H")
    terminal.kill(signal.SIGTERM)
    ends(terminal, 128 + signal.SIGTERM)
