"""The exit status of a start is its program's, and what cannot be executed is told in one line."""

from __future__ import annotations

import os
import stat

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.setting("init_command")
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


NOT_FOUND = "command not found in the container"
NOT_ALLOWED = "Permission denied (EACCES)"
WRONG_FORMAT = "Exec format error (ENOEXEC)"
MAGIC_LINK = "too many symbolic links, or one of procfs, which is not followed (ELOOP)"


def _cannot_execute(box: Box, program: str, status: int, why: str) -> None:
    result = box.run(program, expect=status)
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [f'error: {box.name}: cannot execute "{program}": {why}']
    assert ('hint: a script begins with "#!"' in result.stderr) == (why == WRONG_FORMAT)
    assert "finished" not in result.stderr
    for success in ("fork success", "successfully"):
        assert success not in result.stderr


@pytest.mark.parametrize(
    ("program", "status", "why"),
    [
        ("nothing-of-the-kind", 127, NOT_FOUND),
        ("/no/such/file", 127, NOT_FOUND),
        ("/etc/passwd/below-a-file", 127, NOT_FOUND),
        ("", 127, NOT_FOUND),
        ("/tmp", 126, NOT_ALLOWED),
        ("/dev/null", 126, NOT_ALLOWED),
        ("/proc/self/exe", 126, MAGIC_LINK),
        ("/proc/1/exe", 126, MAGIC_LINK),
        ("/proc/self/root/bin/sh", 126, MAGIC_LINK),
    ],
)
def test_what_cannot_be_executed(box: Box, program: str, status: int, why: str) -> None:
    _cannot_execute(box, program, status, why)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, NOT_ALLOWED),
        ("no format", 0o755, WRONG_FORMAT),
        ("", 0o755, WRONG_FORMAT),
        ("#!/no/interpreter\n", 0o755, "its interpreter or loader is missing"),
        ("#!/proc/self/exe\n", 0o755, MAGIC_LINK),
        ("#! \t/proc/self/exe -c x\n", 0o755, MAGIC_LINK),
        ("#!/proc/self/exe", 0o755, MAGIC_LINK),
    ],
)
def test_file_that_cannot_be_executed(box: Box, content: str, mode: int, why: str) -> None:
    _cannot_execute(box, _script(box, content, mode), 126, why)


def test_command_of_the_file_is_pointed_at(box: Box) -> None:
    box.write('config.init_command = "/bin/echo hi"')
    assert box.fails(expect=127).splitlines()[:3] == [
        f'error: {box.name}: cannot execute "/bin/echo hi": {NOT_FOUND}',
        f"  at: {box.file}:{box.settings_line}",
        "  hint: text is one program without arguments: a list has them",
    ]
    box.write('config.init_command = ["/tmp"]')
    assert f"  at: {box.file}:{box.settings_line}" in box.fails(expect=126)
    assert "  at: " not in box.fails("/no/such", expect=127)  # which the file does not name


def test_script_whose_interpreter_is_a_script_of_the_hosts_python(box: Box) -> None:
    inner = _script(box, "#!/proc/self/exe\n", name="inner")
    _cannot_execute(box, _script(box, f"#!{inner}\n"), 126, MAGIC_LINK)


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
