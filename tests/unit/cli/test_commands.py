"""The small commands, and what all have in common, run in this process."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

import haconiwa
from haconiwa.build.report import prefixed
from haconiwa.cli import archive, attach, check, inspect, main, plan, revisions, start, version
from haconiwa.cli.arguments import parse
from haconiwa.cli.output import Output
from haconiwa.cli.privilege import require_root
from haconiwa.cli.progress import Progress
from haconiwa.errors import ConfigError, ContainerError, HostError
from haconiwa.lifecycle.state import State

HACO = """\
from haconiwa import define
print("the file prints")
with define() as config:
    config.name = "web"
    config.init_command = ["/bin/sh", "-c", "exit 7"]
    root = config.chroot_to("/srv/web")
    config.mount_independent("procfs", "devtmpfs")
    config.namespace.unshare("pid", "uts")
"""


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_CONFIG", str(tmp_path / "haconiwa.conf.py"))
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file() -> str:
    Path("web.haco").write_text(HACO, encoding="utf-8")
    return "web.haco"


def run(module: Any, name: str, *argv: str) -> int:
    status: int = module.run(parse(name, module, list(argv)), Output())
    return status


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    run(version, "version")
    run(version, "version", "--json")
    plain, in_json = capfd.readouterr().out.splitlines()
    assert plain == f"haconiwa {haconiwa.__version__}"
    assert json.loads(in_json) == {"haconiwa": haconiwa.__version__}


def test_revisions(capfd: pytest.CaptureFixture[str]) -> None:
    run(revisions, "revisions", "--json")
    found = json.loads(capfd.readouterr().out)
    assert found["kernel"].startswith(os.uname().release)
    assert found["programs"]["tar"] is not None
    assert set(found["programs"]) == set(revisions.PROGRAMS)
    assert "unknown" not in found["programs"].values()
    assert found["features"]["clone3"] is True
    assert found["features"]["openat2"] is True
    run(revisions, "revisions")
    assert "  clone3           yes\n" in capfd.readouterr().out


def test_plan_is_numbered_and_in_order(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    run(plan, "plan", file)
    out = capfd.readouterr().out
    lines = [line.split(maxsplit=2) for line in out[out.index("web:") :].splitlines()[1:]]
    assert [int(line[0]) for line in lines] == list(range(1, len(lines) + 1))
    order = [("supervisor", "clone", "parent", "child", "inside", "running").index(line[1]) for line in lines]
    assert order == sorted(order)
    assert lines[-1][2].startswith("execute /bin/sh")


def test_plan_as_json(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    run(plan, "plan", "--json", file)
    out = capfd.readouterr().out
    (found,) = json.loads(out[out.index("[\n") :])
    assert found["name"] == "web"
    mount = next(step for step in found["steps"] if "mount proc on" in step["what"])
    assert mount["place"] == "child"
    assert mount["where"] == "web.haco:7"


def test_check_is_content(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(check, "check", file) == 0
    assert capfd.readouterr().out.endswith("web.haco: ok\n")


def test_check_shows_all_problems_in_the_order_of_lines(file: str) -> None:
    Path(file).write_text(
        f"{HACO}    config.daemonize\n    config.workdirr = 5\n    config.uid == 3\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        run(check, "check", file)
    places = [str(problem.where) for problem in caught.value.problems]
    assert places == ["web.haco:9", "web.haco:10", "web.haco:11"]
    assert "did you mean" in caught.value.lines()[1]


def test_check_shows_each_problem_once(file: str) -> None:
    Path(file).write_text("def f(:\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        run(check, "check", file)
    assert len(caught.value.problems) == 1


def test_check_executes_both_files_once_wherever_they_go(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("haconiwa.conf.py").write_text('print("the config prints")\n', encoding="utf-8")
    Path(file).write_text(f'import os\nos.chdir("/")\n{HACO}', encoding="utf-8")
    assert run(check, "check", file) == 0
    assert capfd.readouterr().out.splitlines() == ["the config prints", "the file prints", "web.haco: ok"]


def test_inspect_of_a_file_that_does_not_run(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    run(inspect, "inspect", file)
    out = capfd.readouterr().out
    (found,) = json.loads(out[out.index("[\n") :])
    assert found["status"] == "stopped"
    assert found["pid"] is None
    assert found["config"]["init_command"] == ["/bin/sh", "-c", "exit 7"]
    assert found["config"]["readonly_paths"]


def test_inspect_of_nothing() -> None:
    with pytest.raises(ContainerError, match='cannot find a container "nothing"'):
        run(inspect, "inspect", "nothing")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--workdir=", "--workdir: expected a path, not an empty string"),
        ("--allow=", "--allow: expected a capability, not an empty string"),
        ("--drop=net_raw,,chown", "--drop: expected a capability, not an empty string"),
        ("--uid=", "--uid: "),
    ],
)
def test_attach_takes_nothing_empty(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(attach, "attach", option, "nothing")


def test_described_and_recorded_have_the_same_keys(file: str) -> None:
    recorded = inspect._recorded(State(name="web", haco_file="/web.haco", status="running", config={}))
    assert set(recorded) == set(inspect._described(file, None)[0])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("-q", 'unknown option "-q"; others than --debug, --quiet, --version and --help come after the command'),
        ("-V", 'unknown option "-V"; '),
        ("checkpoint", "checkpoint: this version of haconiwa does not have it yet"),
        ("restore", "restore: this version of haconiwa does not have it yet"),
    ],
)
def test_what_is_no_command(word: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main._run([word, "web.haco"]) == 2
    assert capfd.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("line", "hint"), [("strat", 'did you mean "start"?'), ("lst", 'did you mean "list"?'), ("\x1b[2J", "lists them")]
)
def test_unknown_command(line: str, hint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main._run([line]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: unknown command ")
    assert hint in error
    assert "\x1b" not in error


def test_help_lists_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert main._run(["--help"]) == 0
    out = capfd.readouterr().out
    assert [name for name in main.COMMANDS if f"\n  {name} " not in out] == []
    assert "(also: run)" in out


def test_nothing_at_all_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    assert main._run([]) == 2
    assert "usage:" in capfd.readouterr().err


@pytest.mark.parametrize("argv", [["version"], ["--quiet", "version"], ["--version"], ["version", "--debug"]])
def test_common_options_may_stand_before_and_after(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main._run(list(argv)) == 0
    assert capfd.readouterr().out == f"haconiwa {haconiwa.__version__}\n"


def test_progress_looks_as_in_the_original(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Output())
    progress.step("Start provisioning...")
    progress.line("provision.shell-1", "+ apk add bash")
    progress.success("Success!")
    assert capfd.readouterr().err.splitlines() == [
        "Start provisioning...",
        prefixed("provision.shell-1", "+ apk add bash"),
        "Success!",
    ]


def test_quiet_progress(capfd: pytest.CaptureFixture[str]) -> None:
    Progress(Output(quiet=True)).line("bootstrap.lxc", "text")
    assert capfd.readouterr() == ("", "")


def test_results_that_cannot_be_written() -> None:
    full_fd, saved_fd = os.open("/dev/full", os.O_WRONLY), os.dup(1)
    os.dup2(full_fd, 1)
    try:
        with pytest.raises(HostError, match=r"cannot write the output: No space left on device \(ENOSPC\)"):
            Output().result("text")
    finally:
        os.dup2(saved_fd, 1)
        os.close(saved_fd)
        os.close(full_fd)


def test_a_file_prints_no_results(file: str, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())  # put back after the test
    assert main._run(["plan", "--json", file]) == 0
    out, err = capfd.readouterr()
    json.loads(out)
    assert "the file prints" in err or "the file prints" not in out


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (start, ("-D", "-T"), "-D and -T contradict each other"),
        (start, ("-N",), "-N is about making the root file system; add -b"),
        (start, ("--wait-ready",), "--wait-ready is for containers in the background; add -D"),
        (check, ("--json",), "check takes --json with --host only"),
    ],
)
def test_options_that_would_do_nothing_are_refused(module: Any, options: tuple[str, ...], message: str) -> None:
    Path("web.haco").write_text(HACO, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        run(module, module.__name__.rpartition(".")[2], *options, "web.haco")


@pytest.mark.parametrize(
    ("command", "words"), [("stop", "cannot stop as user 1000"), ("logs", "cannot use logs as user 1000")]
)
def test_what_only_root_may_do(command: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match=words):
        require_root(command)


@pytest.mark.parametrize(
    ("argv", "message"), [(("archive", "web.haco"), "archive needs the path to write to; give it with -d PATH")]
)
def test_what_is_missing_is_named(argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(archive, *argv)
