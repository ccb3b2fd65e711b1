#!/usr/bin/env python3
"""How soon a second container of a recipe runs: ``haconiwa start -b`` over a Debian that is kept, beside a busybox.

    bench/second.py [--rounds N] [--copies] [--haconiwa PROGRAM] [--release bookworm] [--mirror URL]

Debian is made once by debootstrap, which downloads it. Each round makes and starts a new container of each recipe, in
turns, with a root of its own and rootfs.overlay. Needs root, debootstrap and busybox-static. With --copies the same
Debian is also copied, without rootfs.overlay: by a snapshot on btrfs, sharing blocks on XFS, and where this directory
for temporary files is; needs btrfs-progs and xfsprogs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

from tests.support.filesystems import mounted  # noqa: E402

FILE = """\
from haconiwa import define
with define() as config:
    config.name = {name!r}
    config.chroot_to({root!r})
    config.rootfs.overlay = {overlay}
    config.init_command = "/bin/true"
    with config.bootstrap as b:
        b.cache = True
{recipe}
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid")
"""

BUSYBOX = """\
        b.strategy = "shell"
        b.code = "mkdir bin proc sys dev; cp /bin/busybox bin/true"
"""


_ROOM = 3 << 30  # of a file system with copies, in bytes


def main() -> int:
    """Make both recipes' roots, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is made (default 20)")
    parser.add_argument("--copies", action="store_true", help="also measure copies on btrfs, XFS and here")
    parser.add_argument("--haconiwa", default=shutil.which("haconiwa"), help="the command (default: the installed one)")
    parser.add_argument("--release", default="bookworm", help="of Debian (default bookworm)")
    parser.add_argument("--mirror", default="", help="where Debian is fetched from")
    options = parser.parse_args()
    if not options.haconiwa:
        parser.error("haconiwa is not installed, say with --haconiwa where it is")
    debian = f'        b.strategy = "debootstrap"\n        b.debian_release = {options.release!r}\n'
    debian += f"        b.mirror_url = {options.mirror!r}\n" if options.mirror else ""
    folder = Path(tempfile.mkdtemp(prefix="haconiwa-second-"))
    try:
        here = Second(folder, options.haconiwa)
        here.measure({"debian": debian, "busybox": BUSYBOX}, options.rounds)
        if options.copies:
            here.measure_copies(options.rounds)
    finally:
        shutil.rmtree(folder)
    return 0


class Second:
    """Measures in directories of its own.

    Args:
        folder: For everything.
        haconiwa: The command.
        overlay: Let the roots lie over the kept one instead of copying it.
    """

    def __init__(self, folder: Path, haconiwa: str, *, overlay: bool = True) -> None:
        self._folder = folder
        self._haconiwa = haconiwa
        self._overlay = overlay
        places = {kind: str(folder / kind) for kind in ("RUN", "LIB", "LOG", "CACHE")}
        self._environ = {f"HACONIWA_{kind}_DIR": path for kind, path in places.items()} | {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HACONIWA_CONFIG": str(folder / "none"),
        }

    def measure(self, recipes: dict[str, str], rounds: int) -> None:
        """Print the median of each recipe, and of the differences within a round."""
        for name, recipe in recipes.items():
            self.start(name, recipe, "first")
        times: dict[str, list[float]] = {name: [] for name in recipes}
        for number in range(rounds):
            for name, recipe in recipes.items():
                times[name].append(self.start(name, recipe, str(number)))
        show(times)
        pairs = zip(*times.values(), strict=True)
        print(f"difference {statistics.median(one - other for one, other in pairs):7.1f} ms")

    def measure_copies(self, rounds: int) -> None:
        """Print how soon a container with a copy of the Debian above runs, by what its file system can do."""
        tar = self._folder / "debian.tar"
        file = self._folder / f"{self._name('debian', 'first')}.haco"
        subprocess.run([self._haconiwa, "--quiet", "archive", file, "-d", tar], env=self._environ, check=True)
        recipe = f'        b.strategy = "tarball"\n        b.archive_path = {str(tar)!r}\n'
        with mounted("btrfs", self._folder, _ROOM) as btrfs, mounted("xfs", self._folder, _ROOM) as xfs:
            copy = self._folder / "copy"
            copy.mkdir()
            places = {"snapshot": btrfs, "reflink": xfs, "copy": copy}
            makers = {name: Second(folder, self._haconiwa, overlay=False) for name, folder in places.items()}
            times: dict[str, list[float]] = {name: [] for name in makers}
            for number in range(rounds + 1):
                for name, maker in makers.items():
                    times[name].append(maker.start(name, recipe, str(number)))
                    maker.remove(name, str(number))
            show({name: measured[1:] for name, measured in times.items()})

    def start(self, name: str, recipe: str, number: str) -> float:
        """Make and run one container; milliseconds."""
        container = self._name(name, number)
        file = self._folder / f"{container}.haco"
        root = str(self._folder / container)
        file.write_text(FILE.format(name=container, root=root, recipe=recipe, overlay=self._overlay))
        began = time.perf_counter()
        subprocess.run([self._haconiwa, "--quiet", "start", "-b", file], env=self._environ, check=True)
        return (time.perf_counter() - began) * 1000

    def remove(self, name: str, number: str) -> None:
        """Remove the root of one container."""
        file = self._folder / f"{self._name(name, number)}.haco"
        subprocess.run([self._haconiwa, "--quiet", "rm", file], env=self._environ, check=True)

    @staticmethod
    def _name(name: str, number: str) -> str:
        return f"second-{os.getpid()}-{name}-{number}"


def show(times: dict[str, list[float]]) -> None:
    """Print the medians."""
    for name, measured in times.items():
        print(f"{name:<10} {statistics.median(measured):7.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
