"""What docs/seccomp.md shows does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.box import Box
from tests.support.program import TREE

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(TREE) / "docs" / "seccomp.md").read_text(encoding="utf-8"), re.DOTALL)
INSIDE = """
config.name = {name!r}
config.container_pid_file = {pid_file!r}
config.chroot_to({root!r})
config.mount_independent("procfs", "devtmpfs")
config.namespace.unshare("pid")
"""

pytestmark = pytest.mark.requires("root", "busybox")


def shown(box: Box, word: str) -> None:
    """Let the box be what the example with a word in it describes."""
    block = next(block for block in BLOCKS if word in block)
    inside = INSIDE.format(name=box.name, pid_file=str(box.pid_file), root=str(box.root))
    box.file.write_text(block + inside, encoding="utf-8")


def test_an_exception_before_the_rule(box: Box) -> None:
    shown(box, "EAFNOSUPPORT")
    assert "Address family not supported" in box.run("ip", "link", expect=None).stderr


def test_a_function_that_decides(box: Box) -> None:
    shown(box, "make_directory")
    done = box.run("/bin/sh", "-c", "mkdir /secret; mkdir /open && echo made")
    assert done.stdout.splitlines()[-1] == "made"
    assert "can't create directory '/secret': Permission denied" in done.stderr
    assert re.findall(r"\d+ makes (\S+)", done.stdout + done.stderr) == ["/secret", "/open"]
