"""Containers by hand: what the helpers do to a real kernel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pexpect
import pytest

from haconiwa import __version__
from tests.support.program import TREE, Program

pytestmark = pytest.mark.requires("root", "busybox")

ALL = "CLONE.NEWNS | CLONE.NEWPID | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWNET"


def run(hacopy: Program, body: str, *args: str | Path, expect: int = 0, flags: str = ALL) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    script = f"root = sys.argv[-1]\ndef child():\n{lines}sys.exit(run_child(child, {flags}))\n"
    return hacopy("-", *args, stdin=script, expect=expect).stdout


def test_new_root_and_nothing_of_the_old_one(hacopy: Program, busybox_root: Path) -> None:
    body = "make_private()\nenter_root(root)\nexecv('/bin/sh', ['sh', '-c', 'pwd; ls /; ls -d /root/../etc/passwd'])"
    lines = run(hacopy, body, busybox_root).split()
    assert lines[0] == "/"
    assert sorted(lines[1:-1]) == sorted(os.listdir(busybox_root))
    assert str(busybox_root) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def test_bind_mount_readonly(hacopy: Program, busybox_root: Path) -> None:
    body = (
        "make_private()\n"
        "bind_mount(root + '/etc', root + '/tmp', readonly=True)\n"
        "print(sorted(os.listdir(root + '/tmp')) == sorted(os.listdir(root + '/etc')))\n"
        "try:\n    open(root + '/tmp/new', 'w')\nexcept OSError as error:\n    print(error.errno)"
    )
    assert run(hacopy, body, busybox_root) == "True\n30\n"
    assert not (busybox_root / "etc/new").exists()


def test_keep_capabilities_for_good(hacopy: Program, busybox_root: Path) -> None:
    body = "keep_capabilities('chown')\nexecv('/bin/sh', ['sh', '-c', 'grep Cap /proc/self/status'])"
    sets = dict(line.split() for line in run(hacopy, body, flags="0").splitlines())
    assert {name: int(mask, 16) for name, mask in sets.items()} == {
        "CapInh:": 0, "CapPrm:": 1, "CapEff:": 1, "CapBnd:": 1, "CapAmb:": 0,
    }  # fmt: skip


def test_cgroup_is_joined_and_removed(hacopy: Program) -> None:
    name = f"haconiwa-hacopy-{os.getpid()}"
    script = (
        "def child():\n"
        f"    print(join_cgroup({name!r}, {{'pids.max': 33}}), open('/proc/self/cgroup').read())\n"
        f"status = run_child(child)\nremove_cgroup({name!r})\nremove_cgroup({name!r})\nsys.exit(status)"
    )
    out = hacopy("-", stdin=script).stdout
    assert f"/{name}\n" in out
    assert not [parent for parent, _, _ in os.walk("/sys/fs/cgroup") if parent.endswith(name)]


def test_unknown_controller(hacopy: Program) -> None:
    error = hacopy("-", stdin="join_cgroup('haconiwa-x', {'nothing.max': 1})", expect=1).stderr
    assert "no cgroup hierarchy has the controller 'nothing'" in error


def test_failed_call_shows_itself(hacopy: Program) -> None:
    error = run_error(hacopy, "mount('/nothing', '/nowhere', None, MS.BIND)")
    assert 'mount("/nothing", "/nowhere", NULL, MS_BIND): No such file or directory (ENOENT)' in error


def run_error(hacopy: Program, code: str) -> str:
    return hacopy("-", stdin=code, expect=1).stderr


def test_nothing_survives_the_first_process(hacopy: Program) -> None:
    body = "if fork() == 0:\n    os.read(os.pipe()[0], 1)\nprint('ended')"
    assert run(hacopy, body) == "ended\n"


@pytest.mark.parametrize("command", ["haconiwa", "hacopy"])
def test_both_commands_run_from_a_checkout(command: str, tmp_path: Path) -> None:
    link = tmp_path / command
    link.symlink_to(Path(TREE) / "bin" / command)
    done = subprocess.run([link, "--version"], capture_output=True, check=True, text=True, cwd="/")
    assert done.stdout == f"{command} {__version__}\n"


@pytest.fixture
def from_checkout() -> Program:
    return Program(f"{TREE}/bin/hacopy", {"PAGER": "cat"})


def test_help_at_the_prompt_of_a_checkout(from_checkout: Program) -> None:
    prompt = from_checkout.on_terminal(rows=200)
    prompt.expect_exact(">>> ")
    prompt.sendline("help(unshare)")
    prompt.expect_exact("Help on function unshare in module haconiwa.kernel.namespaces")
    prompt.expect_exact("See: unshare(2)")
    prompt.expect_exact(">>> ")
    prompt.sendline("quit()")
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert prompt.exitstatus == 0


def test_a_script_of_a_checkout_has_help_exit_and_installed_packages(from_checkout: Program) -> None:
    script = (
        "import gc, site\n"
        "help(unshare)\n"
        "print(gc.isenabled(), {path for path in site.getsitepackages() if os.path.isdir(path)} <= set(sys.path))\n"
        "exit(5)\n"
    )
    out = from_checkout("-", stdin=script, expect=5).stdout
    assert out.startswith("Help on function unshare in module haconiwa.kernel.namespaces")
    assert out.endswith("True True\n")
