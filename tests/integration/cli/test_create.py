"""new, create, provision and rm together, and what an ordinary user is told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.support.program import Program, source_for_everybody

HacoFile = Callable[..., Path]
TEXT = """\
from haconiwa import define
with define() as config:
    config.name = "made"
    config.init_command = "/bin/sh"
    config.chroot_to({root!r})
    with config.bootstrap as b:
        b.strategy = "shell"
        b.code = '''
            echo filling
            mkdir bin dev etc proc sys tmp
            cp "$(command -v busybox)" bin/sh
            ln -s sh bin/cat
        '''
    with config.provision as p:
        p.run_shell("echo one >> /etc/steps; echo hello", name="first")
        p.run_shell("{second}", name="second")
    config.mount_independent("procfs", "devtmpfs")
    config.namespace.unshare("mount", "pid")
"""


@pytest.fixture
def file(haco_file: HacoFile, run_dirs: RunDirs) -> Path:
    return haco_file(TEXT.format(root=str(run_dirs.lib / "made"), second="echo two >> /etc/steps"))


@pytest.mark.requires("root", "busybox")
def test_life_of_a_root(file: Path, haconiwa: Program, run_dirs: RunDirs) -> None:
    lines = haconiwa("create", file).stderr.splitlines()
    assert lines[:2] == ["Creating rootfs of made...", "Start bootstrapping rootfs with shell script..."]
    assert "[bootstrap.shell]:  filling" in lines
    assert "[provision.first]:  hello" in lines
    assert lines.count("Command success: /bin/sh -xe exited 0") >= 2
    assert lines[-1] == "Success!"
    steps = run_dirs.lib / "made/etc/steps"
    assert steps.read_text(encoding="ascii") == "one\ntwo\n"

    assert "is already there" in haconiwa("create", file).stderr
    haconiwa("provision", "-r", "second", file)
    assert steps.read_text(encoding="ascii") == "one\ntwo\ntwo\n"
    error = haconiwa("provision", "-r", "second,third", file, expect=2).stderr
    assert 'no provisioning step "third"; there are first, second' in error

    assert haconiwa("start", file, "--", "/bin/cat", "/etc/steps").stdout == "one\ntwo\ntwo\n"
    haconiwa("create", "--force", "-N", "--quiet", file)
    assert not steps.exists()
    haconiwa("rm", file)
    assert os.listdir(run_dirs.lib) == []


@pytest.mark.requires("root", "busybox")
def test_failed_step_is_125(haco_file: HacoFile, haconiwa: Program, run_dirs: RunDirs) -> None:
    file = haco_file(TEXT.format(root=str(run_dirs.lib / "made"), second="exit 3"))
    error = haconiwa("create", file, expect=125).stderr
    assert 'error: made: the provisioning step "second" failed: exited 3\n' in error
    assert f"  at: {file}:16\n" in error
    haconiwa("rm", file)


@pytest.mark.requires("root", "busybox")
def test_start_can_create_first(file: Path, haconiwa: Program) -> None:
    done = haconiwa("start", "-b", "-N", file, "--", "/bin/sh", "-c", "exit 4", expect=4)
    assert "Creating rootfs of made..." in done.stderr
    assert done.stdout == ""
    haconiwa("rm", "--quiet", file)


@pytest.mark.requires("root")
def test_what_new_writes_can_be_started(haconiwa: Program, run_dirs: RunDirs) -> None:
    name = f"new-{os.getpid()}"
    haconiwa("new", "-n", name, "-s", "host", "web.haco", cwd=run_dirs.base)
    haconiwa("create", "web.haco", cwd=run_dirs.base)
    done = haconiwa("start", "web.haco", "--", "uname", "-n", cwd=run_dirs.base)
    assert done.stdout == f"{name}\n"
    haconiwa("rm", "web.haco", cwd=run_dirs.base)


@pytest.mark.requires("root", "setpriv")
@pytest.mark.parametrize("command", ["create", "diff", "commit"])
def test_ordinary_user_is_told(haconiwa: Program, run_dirs: RunDirs, haco_file: HacoFile, command: str) -> None:
    done = as_nobody(haconiwa, run_dirs, haco_file, command)
    assert done.returncode == 125
    assert f": cannot {command} as user 65534: it needs root, or a user namespace\n" in done.stderr
    assert f"  hint: sudo haconiwa {command} …, or add config.namespace.unshare(" in done.stderr


@pytest.mark.requires("root", "setpriv")
@pytest.mark.parametrize("command", ["plan", "check"])
def test_ordinary_user_may_look(haconiwa: Program, run_dirs: RunDirs, haco_file: HacoFile, command: str) -> None:
    done = as_nobody(haconiwa, run_dirs, haco_file, command)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.requires("root", "setpriv")
@pytest.mark.parametrize("command", ["ps", "inspect"])
def test_others_containers_are_not_shown(
    haconiwa: Program, run_dirs: RunDirs, haco_file: HacoFile, command: str
) -> None:
    run_dirs.run.mkdir(mode=0o700)
    done = as_nobody(haconiwa, run_dirs, haco_file, command)
    assert done.returncode == 125
    assert f'error: cannot look for containers as user 65534: "{run_dirs.run}" is not yours\n' in done.stderr
    run_dirs.run.rmdir()


def as_nobody(
    haconiwa: Program, run_dirs: RunDirs, haco_file: HacoFile, command: str
) -> subprocess.CompletedProcess[str]:
    file = haco_file(TEXT.format(root=str(run_dirs.lib / "made"), second="true"))
    # an interpreter that everybody can read; the program's own may be below root's home
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from haconiwa.cli.main import main; main()"
    package = source_for_everybody(str(run_dirs.base.parent))
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-I", "-B", "-c", code]
    return subprocess.run(
        [*argv, package, command, *([] if command == "ps" else [file])],
        env=haconiwa.environ(),
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.requires("root")
def test_wrong_file_makes_nothing(haconiwa: Program, haco_file: HacoFile, run_dirs: RunDirs) -> None:
    file = haco_file(
        "from haconiwa import define\nwith define() as c:\n    c.uid = -1\n    c.hostnam = 'x'\n    c.nam\n"
    )
    for command in ("create", "start", "provision", "rm", "plan", "check"):
        lines = haconiwa(command, file, expect=2).stderr.splitlines()
        assert [line.split(": ")[1] for line in lines] == [f"{file}:{number}" for number in (3, 4, 5)]
    assert not run_dirs.lib.exists()
    assert not run_dirs.run.exists()


def test_results_are_clean_in_a_pipe(haconiwa: Program, haco_file: HacoFile) -> None:
    file = haco_file("from haconiwa import define\nprint('loaded')\nwith define() as c:\n    c.init_command = 'true'\n")
    done = haconiwa("plan", "--json", file)
    assert json.loads(done.stdout)
    assert done.stderr == "loaded\n"


def test_full_disk_is_a_failure(haconiwa: Program) -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([haconiwa.path, "version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 125
    assert done.stderr == "error: cannot write the output: No space left on device (ENOSPC)\n"


def test_reader_that_goes_away_is_no_error(haconiwa: Program) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    done = subprocess.run([haconiwa.path, "revisions"], stdout=write_fd, stderr=subprocess.PIPE, text=True)
    os.close(write_fd)
    assert (done.returncode, done.stderr) == (141, "")


EXISTING = """\
from haconiwa import define
with define() as barn:
    barn.chroot_to({root!r})
    barn.skip_bootstrap()
    barn.provision.run_shell("echo one >> /etc/steps")
    for name in ("web", "db"):
        with barn.define() as c:
            c.name = name
"""


@pytest.mark.requires("root", "busybox")
@pytest.mark.setting("skip_bootstrap")
def test_a_root_that_somebody_else_made_is_provisioned(
    haco_file: HacoFile, busybox_root: Path, haconiwa: Program
) -> None:
    file = haco_file(EXISTING.format(root=str(busybox_root)))
    haconiwa("check", file)
    haconiwa("create", "-N", file)
    assert not (busybox_root / "etc/steps").exists()
    lines = haconiwa("create", file).stderr.splitlines()
    assert "Bootstrap of web is skipped" in lines
    assert (busybox_root / "etc/steps").read_text(encoding="ascii") == "one\n"
    busybox_root.rename(busybox_root.parent / "gone")
    error = haconiwa("create", file, expect=125).stderr
    assert f'the root file system "{busybox_root}" does not exist\n  hint: skip_bootstrap leaves making it' in error


@pytest.mark.requires("root", "busybox")
def test_provisioning_goes_on_when_nobody_reads_what_it_says(
    haco_file: HacoFile, run_dirs: RunDirs, haconiwa: Program
) -> None:
    root = run_dirs.lib / "made"
    file = haco_file(TEXT.format(root=str(root), second="seq 1000; echo two >> /etc/steps"))
    haconiwa("create", "-N", file)
    with haconiwa.start("provision", file) as process:
        assert process.stderr
        process.stderr.close()
        assert process.wait(20) == 0
    assert (root / "etc/steps").read_text(encoding="ascii") == "one\ntwo\n"
    assert "provisioning did not come to its end" not in haconiwa("create", file).stderr


@pytest.mark.requires("root", "busybox")
def test_rm_of_a_link_names_what_it_leads_to(haco_file: HacoFile, run_dirs: RunDirs, haconiwa: Program) -> None:
    link, root = run_dirs.base / "link", run_dirs.base / "real"
    link.symlink_to(root)
    file = haco_file(TEXT.format(root=str(link), second="true"))
    haconiwa("create", "-N", file)
    assert haconiwa("rm", file).stderr == f"Removed rootfs {root}\n{link} is a link to it and stays\n"
    assert haconiwa("rm", file).stderr == f"There is no rootfs {root}\n{link} is a link to it and stays\n"
    assert link.is_symlink()
