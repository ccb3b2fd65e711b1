"""A start by a service manager: what it is told, and the group it gave."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.box import HOST_GROUPS, Box, finish, wait_until
from tests.support.requirements import cgroup2_mounts

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_it_is_told_when_it_is_up_and_when_it_ends(box: Box, tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@haconiwa-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        manager.settimeout(20)
        script = "trap 'exit 0' TERM; echo \"socket: $NOTIFY_SOCKET\"; while :; do sleep 0.1; done"
        command = ("start", box.file, "--", "/bin/sh", "-c", script)
        with box.haconiwa.start(*command, environ={"NOTIFY_SOCKET": address}) as process:
            assert manager.recv(1000).decode().splitlines() == ["READY=1", "STATUS=1 of 1 containers run"]
            assert process.stdout is not None
            assert process.stdout.readline() == "socket: \n"
            process.send_signal(signal.SIGTERM)
            assert manager.recv(1000) == b"STOPPING=1"
            finish(process)


def test_one_that_is_gone_is_not_waited_for(box: Box, tmp_path: Path) -> None:
    assert box.run("/bin/echo", "runs", environ={"NOTIFY_SOCKET": str(tmp_path / "nobody")}).stdout == "runs\n"
    assert box.run("/bin/echo", "runs", environ={"NOTIFY_SOCKET": "vsock:2:1"}).stdout == "runs\n"


@pytest.fixture
def service(box: Box) -> Iterator[Path]:
    """A group as systemd gives it to a service; what is started from a shell that has joined it is in it."""
    if not (mounts := cgroup2_mounts()):
        pytest.skip("no cgroup v2 hierarchy is mounted")
    group = Path(mounts[0], f"haconiwa-test-service-{os.getpid()}")
    group.mkdir()
    os.setxattr(group, "trusted.delegate", b"1")
    yield group
    box.haconiwa("stop", "-T", "0", box.name, expect=None)
    for folder, _folders, _files in os.walk(group, topdown=False):
        wait_until(lambda folder=folder: not Path(folder, "cgroup.procs").read_text(), "it is not empty")  # type: ignore[misc]
        os.rmdir(folder)


def start_in(service: Path, box: Box, *words: str) -> str:
    """What a start in that group prints."""
    join = f'echo $$ > {service}/cgroup.procs && exec "$@"'
    argv = ["sh", "-c", join, "sh", box.haconiwa.path, "start", *words]
    return subprocess.run(
        argv, env=box.haconiwa.environ(), capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.layouts
@pytest.mark.parametrize("settings", ["", 'config.cgroup["pids.max"] = 50', 'config.cgroup["memory.max"] = "64M"'])
def test_a_delegated_group_holds_the_containers(box: Box, service: Path, settings: str) -> None:
    box.write(f"{HOST_GROUPS}\n{settings}")
    groups = start_in(service, box, str(box.file), "--", "/bin/cat", "/proc/self/cgroup")
    assert f"/{service.name}/haconiwa/{box.name}\n" in groups
    box.nothing_left()


@pytest.mark.layouts
def test_a_reload_finds_the_groups_below_a_delegated_one(box: Box, service: Path) -> None:
    box.write('config.cgroup["pids.max"] = 50')
    start_in(service, box, "-D", str(box.file), "--", "/bin/sleep", "1000")
    box.write('config.cgroup["pids.max"] = 60')
    box.haconiwa("reload", box.name)
    assert any(Path(group, "pids.max").read_text() == "60\n" for group in box.state()["cgroups"][-1:])
    box.stop()
    box.nothing_left()
