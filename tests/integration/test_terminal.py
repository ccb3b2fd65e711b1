"""A container on a terminal: the walk-through, job control, sizes, and modes that come back whatever ends."""

from __future__ import annotations

import os
import re
import signal
import tarfile
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.conftest import RunDirs
from tests.integration.box import HEEDS_TERM, Box, Watched, ends, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

Pty = Callable[..., "pexpect.spawn[str]"]

WALK_THROUGH = """
from haconiwa import define

with define() as config:
    config.name = {name!r}
    config.init_command = {command!r}
    config.container_pid_file = {folder!r} + "/walk.pid"
    root = config.chroot_to({folder!r} + "/walk-root")
    with config.bootstrap as b:
        {bootstrap}
    with config.provision as p:
        p.run_shell("echo provisioned > /provisioned")
    config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs")
    config.mount_network_etc(root, host_root="/etc")
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid")

from itertools import count
from haconiwa import Base
calls = count(1)

@config.add_async_hook(msec=100, interval_msec=100)
def tick(base: Base) -> None:
    print(f"async hook called {{next(calls)}} times [{{base.pid}}]")
"""


def walk_through(pty: Pty, haconiwa: Program, file: Path, name: str, shell: str, ps: str) -> None:
    """What a newcomer does: create, start, look around while a timer fires, leave."""
    haconiwa("create", file, timeout_s=100)
    child = pty("start", file)
    child.expect(r"Container fork success and going to wait: pid=(\d+)\r\n")
    pid = int(str(child.after).rstrip().rpartition("=")[2])
    child.expect("# ")
    child.sendline("uname -n")
    child.expect(rf"{name}\r\n")
    child.sendline("cat /provisioned")
    child.expect("[^/]provisioned\r\n")
    child.sendline(ps)
    child.expect(rf"\n +1 (root +)?(\d+:\d+ +)?(\{{busybox\}} )?{shell} *\r\n")
    numbers = []
    for _ in range(3):
        child.expect(rf"async hook called \d+ times \[{pid}\]\r\n")
        numbers.append(int(str(child.after).split()[3]))
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    child.sendline("exit 3")
    rest = ends(child, 3)
    closing = [line for line in rest.replace("\r", "").splitlines() if "inish" in line or "Container" in line]
    assert closing[-3:-1] == [
        f"Container({pid}) finish detected: exited(3)",
        "Container exited with failure: exited(3)",
    ]
    assert re.fullmatch(r"One of supervisors finished: \d+, exited\(3\)", closing[-1])


def test_walk_through_with_the_hosts_programs(
    haconiwa: Program, haconiwa_pty: Pty, run_dirs: RunDirs, haco_file: Callable[..., Path]
) -> None:
    name = f"walk-host-{os.getpid()}"
    text = WALK_THROUGH.format(
        name=name, command=["/bin/bash", "--norc"], folder=str(run_dirs.base), bootstrap='b.strategy = "host"'
    )
    walk_through(haconiwa_pty, haconiwa, haco_file(text), name, "/bin/bash --norc", "ps -e -o pid,args")


def test_walk_through_with_a_tarball(
    haconiwa: Program, haconiwa_pty: Pty, run_dirs: RunDirs, haco_file: Callable[..., Path], busybox_template: Path
) -> None:
    archive = run_dirs.base / "busybox.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(busybox_template, arcname=".")
    name = f"walk-tar-{os.getpid()}"
    text = WALK_THROUGH.format(
        name=name,
        command="/bin/sh",
        folder=str(run_dirs.base),
        bootstrap=f'b.strategy = "tarball"\n        b.archive_path = {str(archive)!r}',
    )
    walk_through(haconiwa_pty, haconiwa, haco_file(text), name, "/bin/sh", "ps")


# -------------------------------------------------------------------------------------------------------- one terminal


@pytest.fixture
def shell(box: Box, haconiwa_pty: Pty) -> pexpect.spawn[str]:
    """A shell of a container at its prompt."""
    box.write('config.environ["PS1"] = "ready> "')
    child = haconiwa_pty("start", box.file)
    child.expect("ready> ")
    return child


def modes(child: pexpect.spawn[str]) -> list[Any]:
    """The modes of the user's terminal."""
    return termios.tcgetattr(child.child_fd)


def hang_up(child: pexpect.spawn[str]) -> None:
    """Close the user's terminal, as a terminal emulator that is closed does."""
    process: Any = child
    process.ptyproc.fileobj.close()
    process.ptyproc.closed = True


def is_raw(child: pexpect.spawn[str]) -> bool:
    return not modes(child)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_end_of_file_ends_the_shell(shell: pexpect.spawn[str]) -> None:
    shell.sendeof()
    assert "successfully exited: exited(0)" in ends(shell, 0)


def test_program_has_a_terminal_of_its_own(box: Box, haconiwa_pty: Pty) -> None:
    script = "tty; test -t 0 -a -t 1 -a -t 2 && echo all; echo $TERM; ls /dev/pts; stat -c %t:%T /dev/console"
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", script)
    child.expect("pid=[0-9]+\r\n/dev/pts/0\r\nall\r\nxterm\r\n0 +ptmx\r\n88:0\r\nContainer")
    ends(child, 0)


def test_programs_output_lies_between_our_messages(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "echo one; echo two")
    lines = re.sub(r"[0-9]{2,}", "N", ends(child, 0)).split("\r\n")
    assert lines == [
        "Container fork success and going to wait: pid=N",
        "one",
        "two",
        "Container(N) finish detected: exited(0)",
        "Container successfully exited: exited(0)",
        "One of supervisors finished: N, exited(0)",
        "",
    ]


def test_much_output_arrives_whole(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", "--quiet", box.file, "--", "seq", "1", "50000")
    assert ends(child, 0) == "".join(f"{number}\r\n" for number in range(1, 50001))


def test_interrupt_goes_to_the_inner_job(shell: pexpect.spawn[str]) -> None:
    shell.sendline("sh -c 'echo wait\"\"ing; exec sleep 1000'")
    shell.expect("waiting\r\n")
    shell.sendintr()
    shell.expect("ready> ")
    shell.sendline("echo status $?")
    shell.expect("status 130")
    shell.sendline("exit 5")
    ends(shell, 5)


def test_stop_and_continue_of_the_inner_job(shell: pexpect.spawn[str]) -> None:
    shell.sendline("sh -c 'echo wait\"\"ing; exec sleep 1000'")
    shell.expect("waiting\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect("ready> ")
    shell.sendline("fg")
    shell.expect("exec sleep 1000.\r\n")
    shell.sendintr()
    shell.expect("ready> ")
    shell.sendline("exit 7")
    ends(shell, 7)


def test_size_at_the_start_and_when_it_changes(box: Box, haconiwa: Program) -> None:
    script = "stty size; trap 'stty size; exit 4' WINCH; echo set; while :; do sleep 0.05; done"
    child = haconiwa.on_terminal("start", box.file, "--", "sh", "-c", script, rows=31, columns=97)
    child.expect("31 97\r\nset\r\n")
    child.setwinsize(43, 111)
    child.expect("43 111\r\n")
    ends(child, 4)


def test_hooks_lines_are_right_while_the_terminal_is_raw(box: Box, haconiwa_pty: Pty) -> None:
    box.write(
        rest="""
        @config.add_async_hook(msec=50)
        def talk(base):
            print("one\\ntwo")
            base.log("three")
        """
    )
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "read line")
    child.expect(f"\r\none\r\ntwo\r\n{box.name}: three\r\n")
    assert is_raw(child)
    child.sendline("")
    ends(child, 0)


def test_modes_are_back_after_the_end(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "echo up; read line; exit 3")
    before = modes(child)
    child.expect("up\r\n")
    wait_until(lambda: is_raw(child), "the terminal is raw")
    child.sendline("")
    child.expect("finish detected")
    child.expect("One of supervisors finished")
    wait_until(lambda: modes(child) == before, "the modes are back")
    ends(child, 3)


def test_start_that_fails_leaves_the_terminal_alone(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "nothing-of-the-kind")
    before = modes(child)
    child.expect("error: .*command not found in the container\r\n")
    assert modes(child) == before
    assert "fork success" not in ends(child, 127)


def test_modes_are_back_after_the_first_process_is_killed(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "stty raw -echo; echo up; read line")
    before = modes(child)
    child.expect("up")
    os.kill(box.state()["init"]["pid"], signal.SIGKILL)
    child.expect(r"finish detected: signaled\(9\)\r\n")
    child.expect("One of supervisors finished")
    wait_until(lambda: modes(child) == before, "the modes are back")
    ends(child, 137)


def test_modes_are_back_after_the_supervisor_is_killed(
    box: Box, haconiwa_pty: Pty, watched: Callable[[int], Watched]
) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "echo up; read line")
    before = modes(child)
    child.expect("up\r\n")
    state = box.state()
    init = watched(state["init"]["pid"])
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    child.expect(r"One of supervisors finished: \d+, signaled\(9\)")
    wait_until(lambda: modes(child) == before, "the modes are back")
    ends(child, 125)
    assert init.ended()
    box.nothing_left()


def test_killed_barn_takes_the_container_along(box: Box, haconiwa_pty: Pty, watched: Callable[[int], Watched]) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "echo up; read line")
    child.expect("up\r\n")
    state = box.state()
    init, supervisor = watched(state["init"]["pid"]), watched(state["supervisor"]["pid"])
    child.kill(signal.SIGKILL)
    assert init.ended()
    assert supervisor.ended()
    box.nothing_left()


def test_hangup_ends_the_container(box: Box, haconiwa_pty: Pty, watched: Callable[[int], Watched]) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", f"trap '' HUP; echo up; {HEEDS_TERM}")
    child.expect("up\r\n")
    state = box.state()
    init, supervisor = watched(state["init"]["pid"]), watched(state["supervisor"]["pid"])
    hang_up(child)
    assert init.ended()
    assert supervisor.ended()
    child.wait()
    box.nothing_left()


def test_escape_ends_a_program_that_ignores_everything(box: Box, haconiwa_pty: Pty) -> None:
    script = "trap '' HUP INT QUIT TERM; stty -isig; echo up; while :; do sleep 1; done"
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", script)
    child.expect("up\r\n")
    child.send("\x1d\x1d\x1d")
    child.expect("escape typed three times, ending the container\r\n")
    ends(child, 137)


def test_escape_typed_twice_is_the_programs(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "stty raw -echo; echo up; head -c 3 | od -An -tx1")
    child.expect("up")
    child.send("\x1d\x1dx")
    child.expect("1d 1d 78")
    ends(child, 0)


def test_typed_bytes_reach_the_program_untouched(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "stty raw -echo; echo up; head -c 6 | od -An -tx1")
    child.expect("up")
    child.send("\x03\x04\x1a\x1c\r\x13")
    child.expect("03 04 1a 1c 0d 13")
    ends(child, 0)


def test_term_to_the_barn_restores_the_terminal(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty(
        "start", box.file, "--", "sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done"
    )
    before = modes(child)
    child.expect("up\r\n")
    child.kill(signal.SIGTERM)
    child.expect("One of supervisors finished")
    wait_until(lambda: modes(child) == before, "the modes are back")
    ends(child, 6)


def test_users_terminal_is_in_no_descriptor_of_the_container(box: Box, haconiwa_pty: Pty) -> None:
    child = haconiwa_pty("start", box.file, "--", "sh", "-c", "echo up; read line")
    child.expect("up\r\n")
    pid = box.state()["init"]["pid"]
    inside = {os.stat(f"/proc/{pid}/fd/{fd}").st_dev for fd in os.listdir(f"/proc/{pid}/fd")}
    assert inside
    assert os.stat("/dev/pts").st_dev not in inside
    child.sendline("")
    ends(child, 0)


# -------------------------------------------------------------------------------------------------------------- attach


def test_attach_on_a_terminal(box: Box, haconiwa_pty: Pty) -> None:
    box.daemon()
    child = haconiwa_pty("attach", "-e", "PS1=inside> ", box.name)
    before = modes(child)
    child.expect("inside> ")
    assert is_raw(child)
    child.sendline("tty; stty size; echo $$")
    child.expect("/dev/pts/0\r\n24 80\r\n")
    child.setwinsize(40, 100)
    child.sendline("sh -c 'echo wait\"\"ing; exec sleep 1000'")
    child.expect("waiting\r\n")
    child.sendintr()
    child.expect("inside> ")
    child.sendline("stty size")
    child.expect("40 100")
    child.sendline("exit 9")
    ends(child, 9)
    assert before
    box.stop()


def test_attached_program_ends_with_its_terminal(
    box: Box, haconiwa_pty: Pty, watched: Callable[[int], Watched]
) -> None:
    state = box.daemon()
    child = haconiwa_pty("attach", box.name, "--", "sh", "-c", "trap '' HUP; echo up; exec sleep 1000")
    child.expect("up\r\n")
    inner = [pid for pid in _group(state) if pid != state["init"]["pid"]]
    assert len(inner) == 1
    process = watched(inner[0])
    hang_up(child)
    assert process.ended()
    child.wait()
    assert box.status() == "running"
    box.stop()


def _group(state: dict[str, Any]) -> list[int]:
    with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
        return [int(line) for line in file]
