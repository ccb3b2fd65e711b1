"""The walk-through over a Debian that debootstrap makes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.conftest import RunDirs
from tests.e2e.bootstrap.test_bootstrap import RELEASE, mirror
from tests.integration.test_terminal import WALK_THROUGH, walk_through
from tests.support.program import Program

# the smallest Debian has no ps
FIRST_PROCESS = r"""printf 'PID CMD\n  %s %s\n' 1 "$(tr '\0' ' ' < /proc/1/cmdline)" """


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.requires("root", "debootstrap")
def test_walk_through_with_debootstrap(
    haconiwa: Program,
    haconiwa_pty: Callable[..., pexpect.spawn[str]],
    run_dirs: RunDirs,
    haco_file: Callable[..., Path],
) -> None:
    name = f"walk-debian-{os.getpid()}"
    settings = ['b.strategy = "debootstrap"', f"b.debian_release = {RELEASE!r}"]
    if url := mirror():
        settings.append(f"b.mirror_url = {url!r}")
    text = WALK_THROUGH.format(
        name=name, command=["/bin/bash", "--norc"], folder=str(run_dirs.base), bootstrap="\n        ".join(settings)
    )
    file = haco_file(text)
    made = haconiwa("create", file, timeout_s=500).stderr
    assert (
        f"Creating rootfs of {name}...\nStart bootstrapping rootfs with debootstrap...\n[bootstrap.debootstrap]:"
        in made
    )
    assert made.endswith("Command success: /bin/sh -xe exited 0\nSuccess!\n")
    walk_through(haconiwa_pty, haconiwa, file, name, "/bin/bash --norc", FIRST_PROCESS)
