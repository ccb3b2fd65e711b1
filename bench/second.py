#!/usr/bin/env python3
"""How soon a second container of a recipe runs: ``haconiwa start -b`` over a Debian that is kept, beside a busybox.

    bench/second.py [--rounds N] [--haconiwa PROGRAM] [--release bookworm] [--mirror URL]

Debian is made once by debootstrap, which downloads it. Each round makes and starts a new container of each recipe, in
turns, with a root of its own and rootfs.overlay. Needs root, debootstrap and busybox-static.
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

FILE = """\
from haconiwa import define
with define() as config:
    config.name = {name!r}
    config.chroot_to({root!r})
    config.rootfs.overlay = True
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


def main() -> int:
    """Make both recipes' roots, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is made (default 20)")
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
        Second(folder, options.haconiwa).measure({"debian": debian, "busybox": BUSYBOX}, options.rounds)
    finally:
        shutil.rmtree(folder)
    return 0


class Second:
    """Measures in directories of its own.

    Args:
        folder: For everything.
        haconiwa: The command.
    """

    def __init__(self, folder: Path, haconiwa: str) -> None:
        self._folder = folder
        self._haconiwa = haconiwa
        places = {kind: str(folder / kind) for kind in ("RUN", "LIB", "LOG", "CACHE")}
        self._environ = {f"HACONIWA_{kind}_DIR": path for kind, path in places.items()} | {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HACONIWA_CONFIG": str(folder / "none"),
        }

    def measure(self, recipes: dict[str, str], rounds: int) -> None:
        """Print the median of each recipe, and of the differences within a round."""
        for name, recipe in recipes.items():
            self._start(name, recipe, "first")
        times: dict[str, list[float]] = {name: [] for name in recipes}
        for number in range(rounds):
            for name, recipe in recipes.items():
                times[name].append(self._start(name, recipe, str(number)))
        for name, measured in times.items():
            print(f"{name:<10} {statistics.median(measured):7.1f} ms")
        pairs = zip(*times.values(), strict=True)
        print(f"difference {statistics.median(one - other for one, other in pairs):7.1f} ms")

    def _start(self, name: str, recipe: str, number: str) -> float:
        """Make and run one container; milliseconds."""
        container = f"second-{os.getpid()}-{name}-{number}"
        file = self._folder / f"{container}.haco"
        file.write_text(FILE.format(name=container, root=str(self._folder / container), recipe=recipe))
        began = time.perf_counter()
        subprocess.run([self._haconiwa, "--quiet", "start", "-b", file], env=self._environ, check=True)
        return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
