"""Ctrl-C at any moment of a start: it ends, the terminal is as before, and the name starts again."""

from __future__ import annotations

import re
import select
import signal
import termios
from collections.abc import Callable

import pexpect
import pytest

from tests.integration.box import Box, wait_until
from tests.support.leftovers import OwnDirs, end_processes

pytestmark = [pytest.mark.requires("root", "busybox"), pytest.mark.slow]

MOMENTS = 40
LENGTH_S = 0.2
"""Longer than a start takes."""
PROGRAM = "trap 'exit 3' INT; while :; do sleep 0.1; done"


@pytest.mark.timeout(300)
def test_at_any_moment(box: Box, haconiwa_pty: Callable[..., pexpect.spawn[str]]) -> None:
    ends = set()
    for moment in range(MOMENTS):
        child = haconiwa_pty("start", box.file, "--", "sh", "-c", PROGRAM)
        before = termios.tcgetattr(child.child_fd)
        select.select([], [], [], LENGTH_S * moment / MOMENTS)
        child.sendintr()
        while child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1) != 0:
            child.sendintr()  # the program itself had no handler yet
        wait_until(lambda: termios.tcgetattr(child.child_fd) == before, f"moment {moment}: the modes are back")  # noqa: B023
        child.close()
        ends.add(-(child.signalstatus or 0) if child.exitstatus is None else child.exitstatus)
        # before that it is Python's own start that is interrupted, and says so
        assert not re.search(r'cli/main\.py", line \d+, in main', str(child.before))
        assert end_processes(OwnDirs([str(box.folder)])) == [], f"moment {moment}"
        box.nothing_left()
    print(f"it ended with {sorted(ends)}")
    # 137: the container is told to stop, and its program has no handler yet
    assert ends <= {1, 3, 125, 130, 137, -signal.SIGINT}
    assert box.sh("echo again") == "again\n"
