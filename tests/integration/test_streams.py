"""Without a terminal the program's streams are the caller's own."""

from __future__ import annotations

import hashlib
import os
import subprocess

import pytest

from tests.integration.box import Box, finish

pytestmark = pytest.mark.requires("root", "busybox")


def test_stdout_has_only_what_the_program_prints(box: Box) -> None:
    result = box.run("echo", "x")
    assert result.stdout == "x\n"
    assert result.stderr.splitlines()[-1].startswith("One of supervisors finished: ")


def test_stderr_of_the_program_is_the_callers(box: Box) -> None:
    assert "to stderr\n" in box.run("/bin/sh", "-c", "echo to stderr >&2").stderr


def test_messages_come_in_order(box: Box) -> None:
    messages = box.run("true").stderr.splitlines()
    words = [line.split(":")[0].split("(")[0] for line in messages]
    assert words == [
        "Container fork success and going to wait",
        "Container",
        "Container successfully exited",
        "One of supervisors finished",
    ]


def test_quiet_says_nothing(box: Box) -> None:
    result = box.haconiwa("start", "--quiet", box.file, "--", "echo", "x")
    assert (result.stdout, result.stderr) == ("x\n", "")


def timings(text: str) -> list[str]:
    """The parts that are timed; each has milliseconds before it, and the last is the sum of the others."""
    rows = [line.split(" ms  ") for line in text.splitlines() if " ms  " in line]
    *parts, together = [float(number) for number, _part in rows]
    assert together == pytest.approx(sum(parts), abs=0.1 * len(parts))
    assert rows[-1][1] == "together"
    return [part for _number, part in rows[1:-1]]


def test_the_times_of_a_start(box: Box) -> None:
    shown = box.haconiwa("start", "--timings", box.file, "--", "sleep", "0.1")
    assert shown.stdout == ""
    assert timings(shown.stderr) == [
        "the haco file", "the plan", "its names and the setup hooks", f"{box.name} is started",
        f"{box.name} runs and ends", "the last hooks",
    ]  # fmt: skip
    ran = next(line for line in shown.stderr.splitlines() if "runs and ends" in line)
    assert float(ran.split()[0]) >= 100
    shown = box.haconiwa("start", "--timings", "-D", box.file, "--", "sleep", "1000")
    assert timings(shown.stderr)[-1] == "the start in the background"
    box.stop()
    assert timings(box.haconiwa("start", "--timings", "/no/such.haco", expect=2).stderr) == []


def test_stdin_is_passed_through(box: Box) -> None:
    assert box.run("cat", stdin="one\ntwo\n").stdout == "one\ntwo\n"


def test_streams_are_the_same_open_files(box: Box, tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "output")
    with open(path, "w+b") as file:
        file.write(b"before ")
        file.flush()
        argv = [box.haconiwa.path, "start", str(box.file), "--", "echo", "after"]
        subprocess.run(argv, stdout=file, stderr=subprocess.PIPE, env=box.haconiwa.environ(), check=True)
        file.seek(0)
        assert file.read() == b"before after\n"


def test_twenty_megabytes_pass_without_loss(box: Box) -> None:
    block = os.urandom(1 << 20)
    process = subprocess.Popen(
        [box.haconiwa.path, "start", "--quiet", box.file, "--", "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=box.haconiwa.environ(),
    )
    output, _ = process.communicate(block * 20, timeout=30)
    assert process.returncode == 0
    assert len(output) == 20 << 20
    assert hashlib.sha256(output).digest() == hashlib.sha256(block * 20).digest()


def test_reader_that_goes_away_ends_the_program(box: Box) -> None:
    with box.background("echo line; exec cat /dev/zero") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        # a first process is spared the signal, and ends by the error of its write
        assert process.wait(20) == 1
    box.nothing_left()


@pytest.mark.parametrize("closed", ["0<&-", "2>&-", "1>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_no_files_of_ours(box: Box, closed: str) -> None:
    box.write(
        'config.add_mount_point(os.path.dirname(__file__) + "/result", to=root / "result", readonly=False)',
    )
    (box.folder / "result").write_text("")
    script = "exec 3>>/result; for n in 0 1 2; do (readlink /proc/1/fd/$n >&3); done; echo $? >&3"
    command = f'exec "$0" start "$1" -- /bin/sh -c "$2" {closed}'
    result = subprocess.run(
        ["/bin/sh", "-c", command, box.haconiwa.path, str(box.file), script],
        stdin=subprocess.DEVNULL, capture_output=True, env=box.haconiwa.environ(), timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 0
    shown = (box.folder / "result").read_text().split()
    assert len(shown) == 4, shown
    for number, path in enumerate(shown[:3]):
        assert path == "/dev/null" if f"{number}" in closed else path.startswith(("pipe:", "/dev/null")), shown


def test_full_disk_under_stdout_is_the_programs_own_matter(box: Box) -> None:
    with open("/dev/full", "wb") as full:
        argv = [box.haconiwa.path, "start", str(box.file), "--", "sh", "-c", "echo x || exit 9"]
        result = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, env=box.haconiwa.environ(), check=False)
    assert result.returncode == 9


def test_stdin_of_several_containers_is_empty(box: Box) -> None:
    box.write()
    text = box.file.read_text()
    several = text.replace(f"    config.name = {box.name!r}\n", "").replace("    config.container_pid_file", "    #")
    several += f"""
    for letter in "ab":
        with config.define() as child:
            child.name = {box.name!r} + letter
            child.init_command = ["/bin/sh", "-c", "cat; echo from " + letter]
"""
    box.file.write_text(several)
    process = box.haconiwa.start("start", box.file)
    stdout, _ = finish(process)
    assert sorted(stdout.splitlines()) == ["from a", "from b"]
