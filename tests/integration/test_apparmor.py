"""AppArmor profiles on a kernel that has it: the host's, or that of a virtual machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox", "apparmor_parser", "apparmor")

PROFILE = """
profile haconiwa-test flags=(attach_disconnected,mediate_deleted) {
  capability, file, network, mount, signal, ptrace, unix,
  deny /etc/secret rwklx,
}
"""
NAME = "haconiwa-test"
LABEL = "haconiwa-test (enforce)"


@pytest.fixture(autouse=True)
def profile(tmp_path: Path) -> Iterator[None]:
    """A profile that forbids one file."""
    file = tmp_path / "profile"
    file.write_text(PROFILE, encoding="ascii")
    parser = ["apparmor_parser", "--skip-cache", "--replace", str(file)]
    subprocess.run(parser, check=True, timeout=60)
    yield
    subprocess.run([*parser[:2], "--remove", str(file)], check=True, timeout=60)


@pytest.mark.setting("apparmor")
@pytest.mark.parametrize(
    "more", ["", "config.no_new_privs = True", "config.uid = 1000", 'config.capabilities.drop("all")']
)
def test_the_program_and_what_is_attached_run_under_the_profile(box: Box, more: str) -> None:
    (box.root / "etc/secret").write_text("s")
    box.write(f'config.apparmor = "{NAME}"\n{more}')
    script = "cat /proc/self/attr/current; cat /etc/secret || echo refused; cat /etc/passwd > /dev/null && echo allowed"
    expected = [LABEL, "refused", "allowed"]
    assert box.sh(script).splitlines() == expected
    pid = box.daemon()["init"]["pid"]
    assert Path(f"/proc/{pid}/attr/current").read_text(encoding="ascii").strip() == LABEL
    assert box.attach("/bin/sh", "-c", script).stdout.splitlines() == expected
    box.stop()


@pytest.mark.setting("apparmor_profile")
def test_in_a_user_namespace(box: Box) -> None:
    maps = "".join(f"config.namespace.set_{kind}_mapping(min=0, max=65536, offset=0)\n" for kind in ("uid", "gid"))
    box.write(f'{maps}config.apparmor_profile = "{NAME}"')
    assert box.sh("cat /proc/self/attr/current").strip() == LABEL
    box.daemon()
    assert box.attach("cat", "/proc/self/attr/current").stdout.strip() == LABEL
    box.stop()


def test_unconfined_is_a_profile(box: Box) -> None:
    box.write('config.apparmor = "unconfined"')
    assert box.sh("cat /proc/self/attr/current").strip() == "unconfined"


def test_a_profile_that_is_not_loaded_stops_the_start(box: Box) -> None:
    box.write('config.apparmor_profile = "no-such-profile"')
    shown = box.fails("true")
    assert 'cannot find the AppArmor profile "no-such-profile": it is not loaded' in shown
    assert f"{box.file}:{box.settings_line}" in shown
    assert "hint: load it with apparmor_parser -r FILE" in shown


def test_a_profile_that_is_gone_lets_nothing_be_attached(box: Box, tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_text(PROFILE.replace(NAME, f"{NAME}-2"), encoding="ascii")
    subprocess.run(["apparmor_parser", "--skip-cache", "--replace", str(file)], check=True, timeout=60)
    box.write(f'config.apparmor = "{NAME}-2"')
    box.daemon()
    subprocess.run(["apparmor_parser", "--skip-cache", "--remove", str(file)], check=True, timeout=60)
    assert "it is not loaded" in box.attach("true", expect=125).stderr
    box.stop()
