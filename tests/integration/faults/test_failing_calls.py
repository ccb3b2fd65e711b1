"""System calls of the supervisor fail, as they do on a machine that has nothing left."""

from __future__ import annotations

import pytest

from tests.integration.box import Box
from tests.integration.faults.aim import SUPERVISOR, Aim
from tests.integration.faults.test_every_call import SETTINGS, today
from tests.support.leftovers import OwnDirs, end_processes

pytestmark = [pytest.mark.requires("root", "busybox", "strace"), pytest.mark.slow]

STEP = 4
"""A run takes every fourth call, tomorrow's the next ones; the marker ``soak`` is for all of them."""

ERRORS = {
    "clone3": ("EAGAIN", "ENOMEM"),
    "fcntl": ("EMFILE",),
    "mkdir": ("ENOSPC", "EROFS"),
    "mmap": ("ENOMEM",),
    "mount_setattr": ("ENOMEM",),
    "open_tree": ("ENOMEM", "EMFILE"),
    "openat": ("EMFILE", "ENFILE"),
    "pidfd_open": ("EMFILE",),
    "pipe2": ("EMFILE", "ENFILE"),
    "pread64": ("EIO",),
    "read": ("EIO",),
    "rename": ("ENOSPC",),
    "socket": ("EMFILE",),
    "socketpair": ("ENFILE",),
    "write": ("ENOSPC", "EIO"),
}
"""What the kernel says when memory, descriptors, processes or room run out."""


def walk(box: Box, first: int, step: int) -> list[str]:
    """Let each of these calls fail; what was said of those that failed the start."""
    aim = Aim(box, SUPERVISOR, daemon=False, settings=SETTINGS)
    calls = [(call, error) for call in aim.calls() for error in ERRORS.get(call.partition(":")[0], ())]
    said = []
    for call, error in calls[first::step]:
        status, stderr = aim.fail(call, error)
        what = f"{call} {error}: {stderr}"
        assert status in (0, 125), what
        assert "Traceback" not in stderr, what
        assert "bug" not in stderr, what
        assert status == 0 or "error: " in stderr, what
        box.write()
        assert box.run("/bin/echo", "again", expect=None).stdout == "again\n", what
        box.nothing_left()
        assert end_processes(OwnDirs([str(box.folder)])) == [], what
        said.append(what)
    return said


@pytest.mark.timeout(300)
def test_a_sample_of_the_supervisors_calls(box: Box) -> None:
    assert walk(box, today(STEP), STEP)


def test_the_caller_of_a_daemon_hears_why(box: Box) -> None:
    status, stderr = Aim(box, SUPERVISOR, daemon=True).fail("mkdir:when=1", "ENOSPC")
    assert status == 125
    assert stderr.startswith(f"error: {box.name}: cannot create the cgroup ")
    assert "No space left on device (ENOSPC)\n" in stderr
    box.nothing_left()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_call(box: Box) -> None:
    print("\n".join(walk(box, 0, 1)))
