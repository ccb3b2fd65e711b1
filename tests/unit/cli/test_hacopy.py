"""hacopy as a user would run it, without root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from haconiwa import primitives
from haconiwa.cli.hacopy import banner
from tests.support.program import Program, find_program


@pytest.fixture
def hacopy(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(find_program("hacopy", "hacopy", str(tmp_path_factory.mktemp("bin"))), {})


@pytest.fixture
def prompt(hacopy: Program) -> Iterator[pexpect.spawn[str]]:
    child = hacopy.on_terminal()
    child.expect_exact(">>> ")
    yield child
    child.close(force=True)


def test_script_has_the_primitives(hacopy: Program, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print(__name__, __file__, sys.argv, MS.BIND | MS.REC, to_names(to_mask(['chown'])), unshare.__module__)\n"
        "import __main__; print(__main__.MS is MS)\n"
        "raise SystemExit(7)\n",
        encoding="utf-8",
    )
    done = hacopy(script, "a", "--help", "-x", expect=7)
    assert done.stdout == (
        f"__main__ {script} ['{script}', 'a', '--help', '-x'] MS_BIND|MS_REC ('chown',) haconiwa.kernel.namespaces\n"
        "True\n"
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no')", 1, "no\n"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("os._exit(9)", 9, ""),
        ("def f(:", 1, "SyntaxError"),
    ],
)
def test_exit_status_is_the_scripts(hacopy: Program, code: str, status: int, error: str) -> None:
    done = hacopy("-", stdin=code, expect=status)
    assert error in done.stderr
    assert bool(error) == bool(done.stderr)


@pytest.mark.parametrize("args", ["-h", "--version", "-"])
def test_output_that_cannot_be_written_is_said(hacopy: Program, args: str) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [hacopy.path, args], check=False, stdout=full, stderr=subprocess.PIPE, text=True, input="print('x')"
        )
    assert done.stderr == "error: cannot write the output: No space left on device (ENOSPC)\n"
    assert done.returncode == 125


def test_nobody_has_to_read_to_the_end(hacopy: Program) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    done = subprocess.run(
        [hacopy.path, "-"], check=False, stdout=write_fd, stderr=subprocess.PIPE, text=True,
        input="print('x')\nsys.exit(3)",
    )  # fmt: skip
    os.close(write_fd)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_folder_that_is_gone(hacopy: Program, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('ran')", encoding="utf-8")
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"rmdir {gone}; {hacopy.path} script.py; {hacopy.path} {tmp_path}/script.py"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=gone, check=True, capture_output=True, text=True)
    assert done.stdout == "ran\n"
    assert done.stderr == 'error: cannot read "script.py": No such file or directory (ENOENT)\n'


def test_without_a_terminal_stdin_is_a_script(hacopy: Program) -> None:
    assert hacopy(stdin="print(sys.argv, '__file__' in globals())").stdout == "['-'] False\n"


def test_traceback_shows_the_script_only(hacopy: Program, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("def f():\n    1 / 0\nf()\n", encoding="utf-8")
    lines = hacopy(script, expect=1).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{script}", line 3, in <module>'
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_modules_beside_the_script_are_found_last(hacopy: Program, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 5", encoding="utf-8")
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')", encoding="utf-8")
    (tmp_path / "script.py").write_text("import json, beside; print(beside.value, json.dumps(1))", encoding="utf-8")
    assert hacopy(tmp_path / "script.py").stdout == "5 1\n"


def test_wrong_command_lines(hacopy: Program, tmp_path: Path) -> None:
    assert "No such file or directory (ENOENT)" in hacopy(tmp_path / "nothing.py", expect=2).stderr
    assert 'unknown option "-x"' in hacopy("-x", expect=2).stderr
    assert hacopy("--help").stdout.startswith("usage: hacopy [SCRIPT")
    assert hacopy("--version").stdout.startswith("hacopy ")


def test_environment_leads_to_no_other_python_files(hacopy: Program, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("raise SystemExit('wrong code')", encoding="utf-8")
    done = hacopy("-", stdin="import code, sys; print(sys.flags.isolated)", environ={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "1\n"


def test_prompt_lists_and_knows_the_names(prompt: pexpect.spawn[str]) -> None:
    assert prompt.before is not None
    assert "pivot_root" in prompt.before
    prompt.sendline("CLONE.NEWPID | CLONE.NEWNS")
    prompt.expect_exact("CLONE_NEWNS|CLONE_NEWPID")
    prompt.sendline("exit(5)")
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert prompt.exitstatus == 5


def test_prompt_completes(prompt: pexpect.spawn[str]) -> None:
    prompt.send("sethostn\t")
    prompt.expect_exact("sethostname(")


def test_banner_has_every_name_once() -> None:
    words = banner().split("\n", 1)[1].split()
    assert sorted(word for word in words if not word.endswith(":") and word in primitives.__all__) == sorted(
        primitives.__all__
    )
    assert max(map(len, banner().splitlines())) <= 120


def test_all_names_are_there() -> None:
    assert [name for name in primitives.__all__ if not hasattr(primitives, name)] == []
    assert primitives.__all__ == sorted(primitives.__all__)
    public = {
        name for name, value in vars(primitives).items() if getattr(value, "__module__", "").startswith("haconiwa")
    }
    assert {name for name in public if name[0] != "_"} - set(primitives.__all__) == {"hierarchies"}


@pytest.mark.parametrize("name", ["nofile", "NOFILE"])
def test_set_rlimit(hacopy: Program, name: str) -> None:
    code = f"import resource\nset_rlimit({name!r}, 17, 18)\nprint(getrlimit(resource.RLIMIT_NOFILE))"
    assert hacopy("-", stdin=code).stdout == "(17, 18)\n"


def test_unknown_limit() -> None:
    with pytest.raises(ValueError, match="unknown limit 'NOFILES'"):
        primitives.set_rlimit("NOFILES", 1)


@pytest.mark.parametrize(
    ("code", "status"),
    [("pass", 0), ("sys.exit(3)", 3), ("sys.exit('text')", 1), ("1 / 0", 1), ("os.kill(os.getpid(), 9)", 137)],
)
def test_run_child_returns_the_status(hacopy: Program, code: str, status: int) -> None:
    script = f"def child():\n    {code}\nprint('before')\nprint(run_child(child))"
    assert hacopy("-", stdin=script).stdout == f"before\n{status}\n"


@pytest.mark.requires("userns")
def test_user_namespace_without_privileges(hacopy: Program) -> None:
    script = (
        "def child():\n"
        "    map_ids(0, uids=f'0 {uid} 1', gids=f'0 {gid} 1')\n"
        "    sethostname('mine')\n"
        "    print(os.getuid(), os.getgid(), os.uname().nodename, open('/proc/self/setgroups').read().strip())\n"
        "uid, gid = os.getuid(), os.getgid()\n"
        "sys.exit(run_child(child, CLONE.NEWUSER | CLONE.NEWUTS))\n"
    )
    assert hacopy("-", stdin=script).stdout == "0 0 mine deny\n"
    assert os.uname().nodename != "mine"
