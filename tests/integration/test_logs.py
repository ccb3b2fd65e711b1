"""The output of containers in the background: a relay of ours between the program and the log."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.isolation.log import LARGEST, TIMES
from tests.conftest import RunDirs
from tests.integration.box import Box, Watched, finish, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")


def log_path(box: Box) -> Path:
    return Path(os.environ["HACONIWA_LOG_DIR"]) / f"{box.name}.log"


def run_to_end(box: Box, script: str) -> None:
    box.haconiwa("start", "-D", box.file, "--", "/bin/sh", "-c", script)
    wait_until(lambda: not box.run_dir.exists(), "it has ended")


def test_the_program_holds_no_file_of_the_host(box: Box) -> None:
    box.write("config.uid = 1000")
    box.daemon("readlink /proc/self/fd/1; readlink /proc/self/fd/2; echo more >/dev/stdout; exec sleep 1000")
    wait_until(lambda: "more" in log_path(box).read_text(), "it has printed")
    pipes = log_path(box).read_text().splitlines()
    assert all(pipe.startswith("pipe:") for pipe in pipes[:2])
    assert pipes[0] == pipes[1]
    box.stop()


def test_logs_of_a_container_and_of_its_supervisor(box: Box) -> None:
    box.write(rest='config.add_general_hook("before_start_wait", lambda base: print("a hook"))')
    run_to_end(box, "for i in 1 2 3; do echo line $i; done; printf rest")
    assert box.haconiwa("logs", box.name).stdout == "line 1\nline 2\nline 3\nrest"
    assert box.haconiwa("logs", "-n", "2", box.name).stdout == "line 3\nrest"
    assert box.haconiwa("logs", "-n", "0", "-f", box.name).stdout == ""
    assert "a hook\n" in box.haconiwa("logs", "--supervisor", box.name).stdout
    stamped = box.haconiwa("logs", "-t", box.name).stdout.splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\dZ line \d$", line) for line in stamped[:3])
    error = box.haconiwa("logs", box.file, expect=125).stderr
    assert (
        error == f'error: cannot find a log of "{box.file}"\n  hint: {log_path(box).parent} has those of {box.name}\n'
    )
    for name in ("nobody", "../x"):
        assert f'cannot find a log of "{name}"' in box.haconiwa("logs", name, expect=125).stderr


def test_following_ends_with_the_container_and_loses_nothing(box: Box) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    box.daemon("echo up; read go </tmp/go; seq 1 20000; printf end")
    wait_until(lambda: log_path(box).read_text(), "it is up")
    with box.haconiwa.start("logs", "-f", "-n", "1", box.name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        (box.root / "tmp" / "go").write_text("\n")
        stdout, _ = finish(process)
    assert stdout == "".join(f"{number}\n" for number in range(1, 20001)) + "end"
    (box.root / "tmp" / "go").unlink()


def test_a_long_log_is_put_aside(box: Box) -> None:
    run_to_end(box, f"yes aaaaaaa | head -c {LARGEST + (1 << 20)}; echo last")
    older = Path(f"{log_path(box)}.1")
    assert LARGEST - (1 << 17) <= older.stat().st_size <= LARGEST
    assert older.stat().st_size + log_path(box).stat().st_size == LARGEST + (1 << 20) + 5
    assert Path(f"{log_path(box)}{TIMES}.1").exists()
    assert box.haconiwa("logs", "-n", "1", box.name).stdout == "last\n"
    assert len(box.haconiwa("logs", box.name).stdout) == LARGEST + (1 << 20) + 5


def test_what_hooks_print_for_months_takes_twice_the_size_of_a_log_at_most(box: Box) -> None:
    """The barn, which shares the log, prints to the one that is there at its end."""
    box.write(
        rest="""
        def chatter(base):
            for _ in range(9):
                print("x" * ((1 << 20) - 1))
            print("enough")

        config.add_general_hook("before_start_wait", chatter)
        config.add_async_hook(msec=100)(chatter)
        config.add_general_hook("teardown", lambda barn: print("the end"))
        """
    )
    path = log_path(box).with_suffix(".supervisor.log")
    first = Path(f"{path}.first")
    box.daemon("exec sleep 1000")
    wait_until(lambda: Path(f"{path}.1").exists(), "the log is put aside")
    os.link(f"{path}.1", first)
    wait_until(lambda: not first.samefile(f"{path}.1"), "it is once more")
    box.stop()
    wait_until(lambda: path.read_text().endswith("the end\n"), "the last hook")
    assert sorted(file.name for file in path.parent.glob(f"{path.name}*")) == [
        path.name, f"{path.name}.1", first.name
    ]  # fmt: skip
    assert box.haconiwa("logs", "--supervisor", "-n", "1", box.name).stdout == "the end\n"


def test_the_log_goes_on_without_the_supervisor(box: Box) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    state = box.daemon("echo up; read go </tmp/go; echo later; exec sleep 1000")
    wait_until(lambda: log_path(box).read_text(), "it is up")
    watched = Watched(state["supervisor"]["pid"])
    watched.kill()
    assert watched.ended()
    watched.close()
    (box.root / "tmp" / "go").write_text("\n")
    wait_until(lambda: log_path(box).read_text() == "up\nlater\n", "it has printed more")
    box.stop()
    (box.root / "tmp" / "go").unlink()


def test_following_goes_on_without_the_supervisor_and_with_another(box: Box) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    state = box.daemon("echo up; while read word; do echo $word; done <>/tmp/go")
    wait_until(lambda: log_path(box).read_text(), "it is up")
    with box.haconiwa.start("logs", "-f", box.name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for word in ("orphaned", "adopted"):
            watched = Watched(box.state()["supervisor"]["pid"])
            watched.kill()
            assert watched.ended()
            watched.close()
            (box.root / "tmp" / "go").write_text(f"{word}\n")
            assert process.stdout.readline() == f"{word}\n"
            box.haconiwa("start", "--adopt", box.file)
        assert box.state()["init"] == state["init"]
        box.stop()
        finish(process)
    (box.root / "tmp" / "go").unlink()


def relays(box: Box) -> list[Watched]:
    """The processes that write the logs of a barn of one container, of the barn's and of its supervisor's."""
    state = box.state()
    supervisor = state["supervisor"]["pid"]
    barn = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    found = [int(pid) for one in (barn, supervisor) for pid in children(one)]
    return [Watched(pid) for pid in found if pid not in (supervisor, state["init"]["pid"])]


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_another_process_goes_on_when_the_one_that_writes_is_killed(box: Box) -> None:
    os.mkfifo(box.root / "tmp" / "go")
    box.write(rest='config.restart_policy("on-failure", backoff_sec=0)')
    box.daemon("echo up; while read word; do echo $word || exit 9; test $word != fail || exit 3; done <>/tmp/go")
    wait_until(lambda: log_path(box).read_text() == "up\n", "it is up")
    (relay,) = relays(box)
    relay.kill()
    assert relay.ended()
    relay.close()
    (box.root / "tmp" / "go").write_text("more\n")
    wait_until(lambda: log_path(box).read_text() == "up\nmore\n", "it prints more")
    (box.root / "tmp" / "go").write_text("fail\n")
    wait_until(lambda: log_path(box).read_text() == "up\nmore\nfail\nup\n", "it is up again")
    assert "the process that writes the logs of this barn has died" in (
        box.haconiwa("logs", "--supervisor", box.name).stdout
    )
    wait_until(lambda: loses(box) and len(exits(box)) >= 2, "who cannot print ends, and is started again")
    box.stop()
    (box.root / "tmp" / "go").unlink()


def loses(box: Box) -> bool:
    """Let nobody read what it prints, the supervisor's own process neither, and let it print."""
    for relay in relays(box):
        relay.kill()
        relay.close()
    try:
        fd = os.open(box.root / "tmp" / "go", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return True  # it is between two runs
    os.write(fd, b"lost\n")
    os.close(fd)
    return True


def exits(box: Box) -> list[int]:
    events = map(json.loads, box.haconiwa("events", "--json", box.name).stdout.splitlines())
    return [event["exit_status"] for event in events if event["event"] == "exited"]


def test_files_of_the_host(box: Box) -> None:
    file, other = box.folder / "out", box.folder / "err"
    box.write(
        f"config.command.set_stdout(host_file={str(file)!r})\nconfig.command.set_stderr(host_file={str(other)!r})"
    )
    run_to_end(box, "readlink /proc/self/fd/1; echo error >&2")
    assert file.read_text().startswith("pipe:")
    assert other.read_text() == "error\n"
    box.write('config.command.set_stdout(host_file="/dev/null")\nconfig.command.set_stderr(host_file="/dev/full")')
    run_to_end(box, "echo lost; echo full >&2 || exit 3")


def test_each_run_of_a_container_that_is_started_again(box: Box) -> None:
    box.write(rest='config.restart_policy("on-failure", max_retries=2, backoff_sec=0)')
    run_to_end(box, "echo run; exit 3")
    assert log_path(box).read_text() == "run\n" * 3


def test_one_process_writes_the_logs_of_a_barn(haconiwa: Program, run_dirs: RunDirs, busybox_root: Path) -> None:
    """Also of containers that are started later, and when barn and supervisors are gone."""
    names = [f"logs-{os.getpid()}-{number}" for number in range(3)]
    os.mkfifo(busybox_root / "tmp" / "go")
    file = run_dirs.base / "barn.haco"
    file.write_text(
        f"""\
from haconiwa import define
with define() as barn:
    barn.daemonize()
    barn.chroot_to({str(busybox_root)!r})
    barn.namespace.unshare("pid", "mount")
    barn.restart_policy("always", max_retries=1, backoff_sec=0)
    for name in {names!r}:
        with barn.define() as c:
            c.name = name
            c.container_pid_file = f"{run_dirs.base}/{{name}}.pid"
            c.init_command = ["/bin/sh", "-c", f"echo {{name}}; read go </tmp/go"]
            c.after = {names!r}[:{names!r}.index(name)]
""",
        encoding="utf-8",
    )
    haconiwa("start", file)

    def said() -> list[str]:
        paths = [Path(os.environ["HACONIWA_LOG_DIR"]) / f"{name}.log" for name in names]
        return [path.read_text() for path in paths if path.exists()]

    def rows() -> list[dict[str, int]]:
        found: list[dict[str, int]] = json.loads(haconiwa("ps", "--json").stdout)
        return found

    wait_until(lambda: said() == [f"{name}\n" for name in names], "all are up")
    supervisors = [row["supervisor_pid"] for row in rows()]
    barn = Path(f"/proc/{supervisors[0]}/stat").read_text().rpartition(")")[2].split()[1]
    assert len(set(children(int(barn))) - {str(pid) for pid in supervisors}) == 1
    watched = [Watched(pid) for pid in (*supervisors, int(barn))]
    for one in watched[:-1]:  # each starts its container again
        os.kill(next(row["pid"] for row in rows() if row["supervisor_pid"] == one.pid), signal.SIGKILL)
    wait_until(lambda: said() == [f"{name}\n" * 2 for name in names], "all are up again")
    for one in watched:
        one.kill()
        assert one.ended()
        one.close()
    haconiwa("start", "--adopt", file)
    for row in rows():
        os.kill(row["pid"], signal.SIGKILL)
    wait_until(lambda: said() == [f"{name}\n" * 3 for name in names], "the adopted ones are started again")
    haconiwa("stop", "-T", "0", file)
    (busybox_root / "tmp" / "go").unlink()


def test_logs_of_a_haco_file(box: Box, haco_file: Callable[..., Path]) -> None:
    box.daemon("echo up; exec sleep 1000")
    wait_until(lambda: log_path(box).read_text(), "it is up")
    assert box.haconiwa("logs", box.file).stdout == "up\n"
    assert "fork success" in box.haconiwa("logs", "--supervisor", box.file).stdout
    box.stop()
    barn = haco_file(
        f"""
        from haconiwa import define
        with define() as barn:
            barn.chroot_to({str(box.root)!r})
            barn.namespace.unshare("pid")
            barn.init_command = ["/bin/sh", "-c", "echo up; exec sleep 1000"]
            for word in ("a", "b"):
                with barn.define() as c:
                    c.name = f"{box.name}-{{word}}"
        """,
        name="barn.haco",
    )
    box.haconiwa("start", "-D", barn)
    try:
        said = box.haconiwa("logs", barn, expect=2).stderr
        assert said == f'error: "{barn}" has several containers; name one: {box.name}-a, {box.name}-b\n'
    finally:
        box.haconiwa("stop", "-T", "0", barn)
