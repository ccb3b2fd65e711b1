"""Many containers of one file."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.slow]

MANY = 200


def pss_kb(pid: int) -> int:
    """The memory of a process, with its share of what it shares."""
    match = re.search(r"(?m)^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    assert match is not None
    return int(match[1])


@pytest.mark.timeout(700)
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
    began = time.monotonic()
    box.haconiwa("start", box.file, timeout_s=300)
    started = time.monotonic()
    rows = json.loads(box.haconiwa("ps", "--json").stdout)
    assert len({row["pid"] for row in rows if row["status"] == "running"}) == MANY
    files = [len(os.listdir(f"/proc/{row['supervisor_pid']}/fd")) for row in rows]
    assert max(files) < 40
    sizes = [pss_kb(row["supervisor_pid"]) for row in rows]
    assert statistics.mean(sizes) < 4096  # each further one may not cost more
    box.haconiwa("kill", "-s", "KILL", "-n", f"{box.name}-7", box.file)
    assert len(box.haconiwa("ps", "-q").stdout.splitlines()) == MANY - 1
    stopping = time.monotonic()
    box.haconiwa("stop", "-T", "0", box.file, timeout_s=300)
    print(
        f"{MANY} containers: started in {started - began:.1f} s, stopped in {time.monotonic() - stopping:.1f} s; "
        f"of each supervisor {statistics.mean(sizes):.0f} kB (PSS, at most {max(sizes)}) and {max(files)} files"
    )
    assert box.haconiwa("ps", "-q").stdout == ""
    assert not list(Path(os.environ["HACONIWA_RUN_DIR"]).glob(f"{box.name}-*"))
