"""Many containers of one file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.slow]

MANY = 200


def pss_kib(pid: int) -> int:
    """The memory of a process; what it shares with others is counted in parts."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_two_hundred_of_one_barn(box: Box) -> None:
    box.file.write_text(
        f"""\
from haconiwa import define
with define() as barn:
    barn.daemonize()
    barn.chroot_to({str(box.root)!r})
    barn.namespace.unshare("mount", "pid")
    barn.container_pid_file = {str(box.folder / "barn.pid")!r}
    for i in range({MANY}):
        with barn.define() as c:
            c.name = f"{box.name}-{{i}}"
            c.container_pid_file = f"{box.folder}/{{i}}.pid"
            c.init_command = ["/bin/sleep", "1000"]
""",
        encoding="utf-8",
    )
    box.haconiwa("start", box.file, timeout_s=120)
    rows = json.loads(box.haconiwa("ps", "--json").stdout)
    assert len({row["pid"] for row in rows if row["status"] == "running"}) == MANY
    assert max(len(os.listdir(f"/proc/{row['supervisor_pid']}/fd")) for row in rows) < 40
    assert sum(pss_kib(row["supervisor_pid"]) for row in rows) / MANY < 4096
    box.haconiwa("kill", "-s", "KILL", "-n", f"{box.name}-7", box.file)
    assert len(box.haconiwa("ps", "-q").stdout.splitlines()) == MANY - 1
    box.haconiwa("stop", box.file, timeout_s=120)
    assert box.haconiwa("ps", "-q").stdout == ""
    assert not list(Path(os.environ["HACONIWA_RUN_DIR"]).glob(f"{box.name}-*"))
