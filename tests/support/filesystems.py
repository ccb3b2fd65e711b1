"""File systems of their own for tests, each in a sparse file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from haconiwa.host.helper import run_helper
from haconiwa.kernel.mount import MS, mount, umount2

TMPFS_MAGIC = 0x01021994  # of fstatfs(2)
_SIZE = 400 << 20  # the least that XFS takes is 300 MiB


@contextmanager
def mounted(fstype: str, folder: Path, size: int = _SIZE) -> Iterator[Path]:
    """A new file system, mounted at a directory that is made in a folder.

    Args:
        fstype: ``btrfs`` or ``xfs``; the test says requires(fstype, "mkfs." + fstype).
        folder: Where the file and the mount point are made.
        size: In bytes.
    """
    image, point = folder / f"{fstype}.img", folder / fstype
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run([f"mkfs.{fstype}", "-q", image], check=True, capture_output=True)
    point.mkdir()
    subprocess.run(["mount", "-t", fstype, "-o", "loop", image, point], check=True)
    try:
        yield point
    finally:
        umount2(str(point), 0)
        point.rmdir()
        image.unlink()


def on_a_small_disk(path: Path, size: str, work: Callable[[], object]) -> list[str]:
    """Run something while a directory is a small file system; the lines that it prints."""

    def inside() -> int:
        mount("tmpfs", str(path), "tmpfs", 0, f"size={size}")
        work()
        umount2(str(path))
        return 0

    lines: list[str] = []
    status = run_helper(inside, lines.append)
    assert status == 0, "\n".join(lines)
    return lines


def enlarge(path: Path) -> None:
    """Give a small file system room for everything."""
    mount("tmpfs", str(path), "tmpfs", MS.REMOUNT, "size=64m")
