"""The tools for real: debootstrap and LXC's templates download a system, git clones one.

The mirror is the tool's own default, or the one that this machine installs its packages from.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.build.remove import remove
from haconiwa.errors import BuildError
from haconiwa.host.helper import run_helper
from haconiwa.kernel.mount import mount
from haconiwa.spec.build import ProvisionSpec
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container, shell_step

pytestmark = [pytest.mark.requires("root"), pytest.mark.timeout(600)]

RELEASE = "bookworm"


def _offers_release(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/dists/{RELEASE}/Release", timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@functools.cache
def mirror() -> str | None:
    """A mirror that answers; None for the tool's default."""
    with open("/usr/sbin/debootstrap", encoding="utf-8") as script:
        default = re.search(r'^DEF_MIRROR="(.*)"', script.read(), re.MULTILINE)
    if default and _offers_release(default[1]):
        return None
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(command, capture_output=True, text=True).stdout.split()
    answering = [site.rstrip("/") for site in dict.fromkeys(sites) if _offers_release(site.rstrip("/"))]
    if not answering:
        pytest.skip("no Debian mirror answers")
    return answering[0]


def run_in(root: Path, *command: str) -> str:
    return subprocess.run(["chroot", root, *command], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.setting("bootstrap.tool")
@pytest.mark.slow
@pytest.mark.requires("debootstrap", "mmdebstrap")
def test_mmdebstrap_once_for_two_containers(run_dirs: RunDirs) -> None:
    first, second = (
        container(run_dirs.base / name, "debootstrap", debian_release=RELEASE, mirror_url=mirror(), tool="mmdebstrap")
        for name in ("one", "two")
    )
    create(first, Recorder())
    report = Recorder()
    create(second, report)
    assert report.texts() == [], "nothing is downloaded again"
    root = run_dirs.base / "two"
    assert run_in(root, "cat", "/etc/debian_version").startswith("12")
    assert run_in(root, "dpkg", "--audit") == ""
    assert sorted(os.listdir(root / "proc")) == []


@pytest.mark.setting("bootstrap.variant", "bootstrap.debian_release")
@pytest.mark.slow
@pytest.mark.requires("debootstrap")
def test_debootstrap_then_provision_with_the_package_manager(run_dirs: RunDirs) -> None:
    root = run_dirs.base / "web"
    spec = container(root, "debootstrap", debian_release=RELEASE, mirror_url=mirror())
    steps = (shell_step("apt-get update\napt-get install -y --no-install-recommends tree\ntree --version"),)
    spec = replace(spec, provision=ProvisionSpec(steps=steps))
    before = Path("/proc/self/mountinfo").read_text(encoding="ascii")
    report = Recorder()
    create(spec, report)
    assert Path("/proc/self/mountinfo").read_text(encoding="ascii") == before
    assert run_in(root, "cat", "/etc/debian_version").startswith("12")
    assert any(text.startswith("I: Retrieving ") for text in report.texts())
    assert "provision.shell-1" in {prefix for prefix, _ in report.lines}
    assert "tree" in run_in(root, "dpkg-query", "--show", "tree")
    assert (root.stat().st_mode & 0o7777, sorted(os.listdir(root / "proc"))) == (0o755, [])
    remove(str(root), force=False)
    assert sorted(os.listdir(run_dirs.base)) == ["cache", "lib", "log", "run"]


@pytest.mark.slow
@pytest.mark.requires("debootstrap")
@pytest.mark.parametrize("line", ["I: Retrieving ", "I: Extracting ", "I: Unpacking "])
def test_debootstrap_interrupted(run_dirs: RunDirs, line: str) -> None:
    def interrupt(text: str) -> None:
        if text.startswith(line):
            raise KeyboardInterrupt

    spec = container(run_dirs.base / "web", "debootstrap", debian_release=RELEASE, mirror_url=mirror())
    with pytest.raises(KeyboardInterrupt):
        create(spec, Recorder(interrupt))
    assert sorted(os.listdir(run_dirs.base)) == ["cache", "lib", "log", "run"]


@pytest.mark.requires("debootstrap")
def test_debootstrap_of_an_unknown_release_shows_its_own_words(tmp_path: Path) -> None:
    report = Recorder()
    with pytest.raises(BuildError, match='web: "debootstrap" failed: exited 1') as raised:
        create(container(tmp_path / "web", "debootstrap", debian_release="no-such-release"), report)
    assert any("No such script" in text for text in report.texts())
    assert raised.value.last_lines == tuple(report.texts()[-20:])
    assert "/debootstrap --variant=minbase no-such-release" in raised.value.hint
    assert os.listdir(tmp_path) == []


def _with_private_cache(spec: ContainerSpec) -> list[str]:
    """Create while the templates' own cache is a temporary file system; the lines that came."""
    lines: list[str] = []

    def work() -> int:
        os.makedirs("/var/cache/lxc", exist_ok=True)
        mount("tmpfs", "/var/cache/lxc", "tmpfs")
        create(spec, Recorder(print))
        return 0

    assert run_helper(work, lines.append) == 0, "\n".join(lines[-40:])
    return lines


TEMPLATE = """#!/bin/sh
for argument; do
    case $argument in --rootfs=*) root=${argument#*=};; esac
done
mkdir -p $root/bin
printf '%s\\n' "$@" > $root/arguments
"""


@pytest.mark.setting("bootstrap.os_type", "bootstrap.project_name", "bootstrap.template_options")
@pytest.mark.requires("lxc")
def test_any_template_of_lxc(run_dirs: RunDirs) -> None:
    template = run_dirs.base / "lxc-own"
    template.write_text(TEMPLATE, encoding="ascii")
    template.chmod(0o755)
    root = run_dirs.base / "web"
    options = ("--release", "a b", "--packages=x")
    spec = container(root, "lxc", os_type=str(template), project_name="my-project", template_options=options)
    create(spec, Recorder())
    arguments = (root / "arguments").read_text(encoding="ascii").splitlines()
    assert "--name=my-project" in arguments
    assert arguments[-3:] == [*options]


@pytest.mark.requires("lxc", "busybox")
def test_lxc_busybox(run_dirs: RunDirs) -> None:
    root = run_dirs.base / "web"
    report = Recorder()
    create(container(root, "lxc", os_type="busybox"), report)
    assert report.told[1] == "Start bootstrapping rootfs with lxc-create..."
    assert run_in(root, "/bin/busybox", "echo", "hello") == "hello"
    assert not os.path.exists("/var/lib/lxc/web")
    marker = own_marker(Place(str(root)))
    assert marker is not None
    assert marker.state is State.COMPLETE


@pytest.mark.slow
@pytest.mark.requires("lxc", "debootstrap", "rsync")
def test_lxc_debian(run_dirs: RunDirs) -> None:
    root = run_dirs.base / "web"
    options = ("--release", RELEASE, *(("--mirror", mirror() or "") if mirror() else ()))
    lines = _with_private_cache(container(root, "lxc", os_type="debian", template_options=options))
    assert any("Retrieving" in line for line in lines)
    assert run_in(root, "cat", "/etc/debian_version").startswith("12")
    assert not os.path.exists("/var/lib/lxc/web")


@pytest.mark.requires("git", "busybox")
def test_git_clone_of_a_root(run_dirs: RunDirs, busybox_template: Path) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
    origin = run_dirs.base / "origin"
    subprocess.run(["git", *identity, "init", "-q", origin], check=True)
    subprocess.run(["cp", "-a", f"{busybox_template}/.", origin], check=True)
    for command in (["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *identity, *command], cwd=origin, check=True)
    root = run_dirs.base / "web"
    create(container(root, "git", git_url=f"file://{origin}", git_options=("--depth", "1")), Recorder())
    assert run_in(root, "/bin/busybox", "echo", "hello") == "hello"


@pytest.mark.requires("git")
def test_git_of_what_is_no_repository(tmp_path: Path) -> None:
    report = Recorder()
    with pytest.raises(BuildError, match='web: "git" failed: exited 128'):
        create(container(tmp_path / "web", "git", git_url=str(tmp_path / "missing")), report)
    assert any("does not exist" in text for text in report.texts())
    assert os.listdir(tmp_path) == []
