"""A start by a service manager: what it is told, and the group it gave."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import HOST_GROUPS, Box, finish
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
            process.send_signal(signal.SIGTERM)
            assert manager.recv(1000) == b"STOPPING=1"
            stdout, _ = finish(process)
    assert stdout == "socket: \n"


def test_one_that_is_gone_is_not_waited_for(box: Box, tmp_path: Path) -> None:
    assert box.run("/bin/echo", "runs", environ={"NOTIFY_SOCKET": str(tmp_path / "nobody")}).stdout == "runs\n"
    assert box.run("/bin/echo", "runs", environ={"NOTIFY_SOCKET": "vsock:2:1"}).stdout == "runs\n"


@pytest.mark.layouts
@pytest.mark.parametrize("settings", ["", 'config.cgroup["pids.max"] = 50', 'config.cgroup["memory.max"] = "64M"'])
def test_a_delegated_group_holds_the_containers(box: Box, settings: str) -> None:
    box.write(settings)
    if not (mounts := cgroup2_mounts()):
        pytest.skip("no cgroup v2 hierarchy is mounted")
    service = Path(mounts[0], f"haconiwa-test-service-{os.getpid()}")
    service.mkdir()
    os.setxattr(service, "trusted.delegate", b"1")
    box.write(HOST_GROUPS)
    join = f'echo $$ > {service}/cgroup.procs && exec "$@"'
    argv = ["sh", "-c", join, "sh", box.haconiwa.path, "start", str(box.file), "--", "/bin/cat", "/proc/self/cgroup"]
    try:
        done = subprocess.run(argv, env=box.haconiwa.environ(), capture_output=True, text=True, check=True, timeout=30)
        assert f"/{service.name}/haconiwa/{box.name}\n" in done.stdout
        box.nothing_left()
    finally:
        for folder, _folders, _files in os.walk(service, topdown=False):
            os.rmdir(folder)
