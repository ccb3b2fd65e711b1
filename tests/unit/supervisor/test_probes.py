"""What a look at a container leaves behind."""

from __future__ import annotations

import os

from haconiwa.host.loop import Loop
from haconiwa.supervisor.probes import HttpProbe


def test_a_process_that_is_gone_costs_no_descriptor() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    probe = HttpProbe(Loop(), pid, "http://localhost/")
    before = os.listdir("/proc/self/fd")
    seen: list[bool] = []
    for _ in range(3):
        probe.look(1.0, seen.append)
    assert seen == [False] * 3
    assert os.listdir("/proc/self/fd") == before
