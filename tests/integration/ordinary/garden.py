"""A haco file of an ordinary user, over a root of busybox."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from tests.support.ordinary import User

_HACO = """\
import os
from haconiwa import Base, define
with define() as config:
    config.name = "garden"
    config.init_command = ["/bin/sh", "-c", "exec sleep 1000"]
    root = config.chroot_to({root!r})
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid")
{settings}
{rest}
"""
AUTO = 'config.namespace.map_ids("auto")'


def plant(user: User, settings: str = AUTO, rest: str = "", root: Path | None = None) -> Path:
    """Write the file, over a root of busybox unless another one is given; the path of the file."""
    if root is None:
        root = user.home / "root"
        if not root.exists():
            user.busybox_root()
    indented = textwrap.indent(textwrap.dedent(settings), "    ")
    return user.write("garden.haco", _HACO.format(root=str(root), settings=indented, rest=textwrap.dedent(rest)))


def sh(user: User, script: str, expect: int = 0) -> str:
    """What a shell script prints in the container."""
    return user.haconiwa("start", "garden.haco", "--", "/bin/sh", "-c", textwrap.dedent(script), expect=expect).stdout


def daemon(user: User) -> dict[str, Any]:
    """Start it in the background; what ``ps`` says of it."""
    user.haconiwa("start", "-D", "garden.haco")
    return listed(user)["garden"]


def listed(user: User) -> dict[str, dict[str, Any]]:
    """What ``ps`` says, by name."""
    return {row["name"]: row for row in json.loads(user.haconiwa("ps", "--json").stdout)}
