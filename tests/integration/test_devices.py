"""Devices besides the harmless ones, and the files of lxcfs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.box import INDEPENDENT, Box

pytestmark = pytest.mark.requires("root", "busybox")

MAPS = """
config.namespace.set_uid_mapping(min=0, max=65536, offset=100000)
config.namespace.set_gid_mapping(min=0, max=65536, offset=100000)
"""


@pytest.mark.setting("add_device")
def test_device_nodes_in_the_private_dev(box: Box) -> None:
    box.write("""
        config.add_device("/dev/fuse")
        config.add_device("/dev/deep/er/own", type="b", major=7, minor=123)
    """)
    host = os.stat("/dev/fuse")
    output = box.sh("stat -c '%F %t:%T %a %u' /dev/fuse /dev/deep/er/own")
    assert output.splitlines() == [
        f"character special file a:e5 {host.st_mode & 0o777:o} {host.st_uid}",
        "block special file 7:7b 600 0",
    ]


@pytest.mark.setting("add_device")
def test_device_without_a_private_dev_is_bound(box: Box) -> None:
    box.write('config.add_device("/dev/zero")', independent=("procfs",))
    (box.root / "dev").mkdir(exist_ok=True)
    assert box.sh("head -c 3 /dev/zero | od -An -c").split() == ["\\0", "\\0", "\\0"]
    assert "/dev/zero" not in os.listdir(box.root / "dev")


def test_device_of_the_hosts_own_dev_is_there_already(box: Box) -> None:
    box.write('config.mount_independent("devtmpfs", host=True)\nconfig.add_device("/dev/zero")')
    assert box.sh("grep -c /dev/zero /proc/mounts", expect=1) == "0\n"


def test_device_in_a_user_namespace_is_the_hosts(box: Box) -> None:
    for name in ("proc", "sys", "dev"):
        (box.root / name).mkdir(exist_ok=True)
    box.write(f'{MAPS}config.add_device("/dev/fuse")')
    assert box.sh("stat -c '%F %t:%T' /dev/fuse; grep -o '/dev/fuse [a-z]*' /proc/mounts").splitlines() == [
        "character special file a:e5",
        "/dev/fuse devtmpfs",
    ]


def fake_lxcfs(folder: Path, *names: str) -> Path:
    """A folder with the files that an lxcfs shows."""
    for name in names:
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"own {path.name}\n")
    return folder


@pytest.mark.setting("lxcfs_root")
def test_files_of_lxcfs(box: Box) -> None:
    names = ("/proc/cpuinfo", "/proc/meminfo", "/proc/uptime", "/sys/devices/system/cpu/online")
    box.write(f"config.lxcfs_root = {str(fake_lxcfs(box.folder / 'lxcfs', *names))!r}", independent=INDEPENDENT)
    assert box.run("cat", *names).stdout.splitlines() == ["own cpuinfo", "own meminfo", "own uptime", "own online"]
    assert "own" not in box.run("cat", "/proc/stat").stdout


def test_lxcfs_that_does_not_run(box: Box) -> None:
    (box.folder / "lxcfs").mkdir()
    box.write(f"config.lxcfs_root = {str(box.folder / 'lxcfs')!r}")
    lines = box.fails("true").splitlines()
    assert 'lxcfs/proc/cpuinfo" to bind it on "/proc/cpuinfo": No such file or directory (ENOENT)' in lines[0]
    assert lines[1:3] == [f"  at: {box.file}:{box.settings_line}", "  hint: is lxcfs running, and mounted there?"]
