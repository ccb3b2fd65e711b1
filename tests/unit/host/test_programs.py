from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from haconiwa.errors import BuildError
from haconiwa.host.programs import program_environment, replay_line, run_program
from haconiwa.host.tools import SAFE_PATH, find_program


def run(script: str, **options: object) -> list[str]:
    lines: list[str] = []
    run_program([find_program("sh"), "-c", script], lines.append, **options)  # type: ignore[arg-type]
    return lines


def test_the_environment_is_fixed_but_for_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    environment = dict(line.split("=", 1) for line in run("env", environ={"ROOTFS": "/r"}))
    for name in ("PWD", "SHLVL", "_"):  # of the shell's own
        environment.pop(name, None)
    home = "/root" if os.geteuid() == 0 else os.environ["HOME"]
    assert environment == {
        "PATH": SAFE_PATH,
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "SHELL": "/bin/sh",
        "https_proxy": "proxy.example:3128",
        "ROOTFS": "/r",
    }
    assert program_environment().keys() == environment.keys() - {"ROOTFS"}


def test_standard_input_is_what_was_given_or_empty() -> None:
    assert run("cat") == []
    assert run("cat", stdin=b"a\n" * 100_000) == ["a"] * 100_000


def test_no_descriptor_of_ours_reaches_the_program() -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    assert run("ls /proc/self/fd") == ["0", "1", "2", "3"]  # 3 is the directory that ls reads
    os.close(read_end)
    os.close(write_end)


def test_a_failure_carries_command_status_and_last_lines() -> None:
    with pytest.raises(BuildError) as raised:
        run("for n in $(seq 30); do echo $n; done; exit 3")
    assert raised.value.argv[1:] == ("-c", "for n in $(seq 30); do echo $n; done; exit 3")
    assert raised.value.status == 3
    assert raised.value.last_lines == tuple(str(n) for n in range(11, 31))
    assert str(raised.value) == '"sh" failed: exited 3'


def test_the_line_of_a_failure_replays_it() -> None:
    with pytest.raises(BuildError) as raised:
        run('echo "it\'s $HOME"; exit 3', cwd="/usr")
    line = raised.value.hint.removeprefix("to run it by hand: ")
    again = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True)
    assert (again.returncode, tuple(again.stdout.splitlines())) == (3, raised.value.last_lines)


def test_the_replay_line_tells_no_password_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.example")
    assert "secret" not in replay_line(["/bin/true"])


def test_a_death_by_signal_is_named() -> None:
    with pytest.raises(BuildError, match=r'"sh" failed: (killed by signal 9|exited 137)'):
        run("sh -c 'kill -9 $$' & wait $!; exit $?")


def test_what_cannot_be_executed_is_an_error_of_the_build(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(BuildError, match=r"Permission denied \(EACCES\)"):
        run_program([os.fspath(tmp_path)], print)


def test_arguments_are_no_shell_code(tmp_path: os.PathLike[str]) -> None:
    lines: list[str] = []
    hostile = ["$(touch x)", "; touch x", "`touch x`", "a\nb"]
    run_program([find_program("printf"), "%s|", *hostile], lines.append, cwd=os.fspath(tmp_path))
    assert "\n".join(lines) == "|".join(hostile) + "|"
    assert os.listdir(tmp_path) == []
    assert shlex.split(replay_line(["x", *hostile]))[-4:] == hostile
