"""The exit status of a start is its program's, and what cannot be executed is told in one line."""

from __future__ import annotations

import os
import stat

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.parametrize("status", [0, 1, 2, 7, 125, 126, 127, 128, 137, 255])
def test_exit_status_is_the_programs(box: Box, status: int) -> None:
    messages = box.run("/bin/sh", "-c", f"exit {status}", expect=status).stderr
    assert f"finish detected: exited({status})" in messages
    assert ("successfully" in messages) == (status == 0)


@pytest.mark.parametrize("number", [1, 6, 9, 15, 31])
def test_program_ended_by_a_signal_is_128_and_the_signal(box: Box, number: int) -> None:
    # a first process ignores what comes from inside its namespace, so it shares the host's
    box.write(namespaces=("mount", "ipc", "uts"))
    messages = box.run("/bin/sh", "-c", f"kill -{number} $$", expect=128 + number).stderr
    assert f"finish detected: signaled({number})" in messages
    assert "successfully" not in messages


def test_first_process_killed_from_outside_is_137(box: Box) -> None:
    with box.background("echo ready; read line") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(box.state()["init"]["pid"], 9)
        process.wait(20)
        assert process.returncode == 137
        assert process.stderr is not None
        assert "exited with failure: signaled(9)" in process.stderr.read()


def _script(box: Box, text: str, mode: int = 0o755, name: str = "program") -> str:
    path = box.root / "tmp" / name
    path.write_text(text)
    path.chmod(mode)
    return f"/tmp/{name}"


CANNOT = [
    pytest.param(lambda box: "nothing-of-the-kind", 127, "command not found in the container", id="no such command"),
    pytest.param(lambda box: "/no/such/file", 127, "command not found in the container", id="no such path"),
    pytest.param(lambda box: "/etc/passwd/x", 127, "command not found in the container", id="below a file"),
    pytest.param(lambda box: "", 127, "command not found in the container", id="empty"),
    pytest.param(lambda box: "/tmp", 126, "Permission denied (EACCES)", id="directory"),
    pytest.param(lambda box: "/dev/null", 126, "Permission denied (EACCES)", id="device"),
    pytest.param(
        lambda box: _script(box, "#!/bin/sh\n", 0o644), 126, "Permission denied (EACCES)", id="not executable"
    ),
    pytest.param(lambda box: _script(box, "no format"), 126, "Exec format error (ENOEXEC)", id="wrong format"),
    pytest.param(lambda box: _script(box, ""), 126, "Exec format error (ENOEXEC)", id="empty file"),
    pytest.param(
        lambda box: _script(box, "#!/no/interpreter\n"), 126, "its interpreter or loader is missing", id="interpreter"
    ),
    pytest.param(lambda box: "/proc/self/exe", 126, "(ELOOP)", id="the host's python"),
    pytest.param(lambda box: "/proc/1/exe", 126, "(ELOOP)", id="the host's python by pid"),
    pytest.param(lambda box: "/proc/self/root/bin/sh", 126, "(ELOOP)", id="through a magic link"),
    pytest.param(lambda box: _script(box, "#!/proc/self/exe\n"), 126, "(ELOOP)", id="script of the host's python"),
    pytest.param(
        lambda box: _script(box, "#! \t/proc/self/exe -c x\n"), 126, "(ELOOP)", id="script with spaces and argument"
    ),
    pytest.param(
        lambda box: _script(box, f"#!{_script(box, '#!/proc/self/exe' + chr(10), name='inner')}\n"),
        126,
        "(ELOOP)",
        id="script of a script",
    ),
]


@pytest.mark.parametrize(("make", "status", "why"), CANNOT)
def test_what_cannot_be_executed(box: Box, make: object, status: int, why: str) -> None:
    assert callable(make)
    program = make(box)
    result = box.run(program, expect=status)
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [f'error: {box.name}: cannot execute "{program}": {errors[0].rpartition(": ")[2]}']
    assert why in errors[0]
    for success in ("fork success", "successfully"):
        assert success not in result.stderr


def test_link_to_the_hosts_python_is_refused(box: Box) -> None:
    (box.root / "tmp/link").symlink_to("/proc/self/exe")
    assert "(ELOOP)" in box.fails("/tmp/link", expect=126)


def test_fifo_as_program_does_not_hang(box: Box) -> None:
    os.mkfifo(box.root / "tmp/fifo", 0o755)
    assert "Permission denied" in box.fails("/tmp/fifo", expect=126)


def test_program_that_may_not_be_read_runs(box: Box) -> None:
    program = box.root / "tmp/busybox"
    program.write_bytes((box.root / "bin/busybox").read_bytes())
    program.chmod(stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    box.write('config.uid = "alice"\nconfig.capabilities.drop("dac_override")')
    assert box.run("/tmp/busybox", "echo", "ran").stdout == "ran\n"


def test_command_is_looked_up_in_the_containers_path(box: Box) -> None:
    _script(box, "#!/bin/sh\necho mine\n", name="only-here")
    box.write('config.environ["PATH"] = "/nowhere:/tmp"')
    assert box.run("only-here").stdout == "mine\n"


def test_directory_on_the_path_is_passed_over(box: Box) -> None:
    (box.root / "tmp/echo").mkdir()
    box.write('config.environ["PATH"] = "/tmp:/bin"')
    assert box.run("echo", "found").stdout == "found\n"
