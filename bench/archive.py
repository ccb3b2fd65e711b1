#!/usr/bin/env python3
"""How long ``haconiwa archive`` takes, beside tar with the same compressor.

    bench/archive.py [--rounds N] [--root DIRECTORY] [--only TYPE,TYPE] [--haconiwa PROGRAM]

Each round writes the same directory by both, one after the other, in an order that changes. Tar runs as one would type
it, ``tar --create --use-compress-program="zstd -qT0" …``, with the compressor and the threads that haconiwa takes, and
keeps what haconiwa keeps: without that, tar loses file capabilities, access lists and holes. Both outputs are on the
disk when the time ends, as haconiwa does it. Needs root; without --root, debootstrap makes a Debian of 200 MB.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TREE), str(TREE / "src")]
sys.dont_write_bytecode = True

from haconiwa.build.archive import compressor  # noqa: E402

FILE = """\
from haconiwa import define
with define() as config:
    config.name = "bench-archive"
    config.chroot_to({root!r})
"""

TYPES = ("none", "gzip", "bzip2", "xz", "zstd")
KEPT = ("--numeric-owner", "--format=posix", "--sparse", "--acls", "--xattrs", "--xattrs-include=*", "--sort=name")


def main() -> int:
    """Make the root file system, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="how often each is written (default 9)")
    parser.add_argument("--root", help="what is written (default: a new Debian)")
    parser.add_argument("--only", default=",".join(TYPES), help="these types only")
    parser.add_argument("--haconiwa", default=str(TREE / "bin/haconiwa"), help="the command (default: of this tree)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="haconiwa-archive-"))
    try:
        root = options.root or make_debian(folder)
        file = folder / "bench.haco"
        file.write_text(FILE.format(root=os.path.realpath(root)), encoding="utf-8")
        print(f"{'':<8} {'haconiwa':>10} {'tar':>10}   ratio   of cpu time")
        for kind in options.only.split(","):
            measure(kind, options.rounds, lambda kind: by_haconiwa(options.haconiwa, file, kind), by_tar(folder, root))
    finally:
        shutil.rmtree(folder)
    return 0


def make_debian(folder: Path) -> str:
    """A Debian without recommended packages."""
    root = str(folder / "debian")
    command = ["debootstrap", "--variant=minbase", "stable", root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return root


Write = Callable[[str], list[str]]


def by_haconiwa(program: str, file: Path, kind: str) -> list[str]:
    """The command of ours."""
    return [program, "--quiet", "archive", str(file), "--type", kind, "--dest", str(file.parent / "ours")]


def by_tar(folder: Path, root: str) -> Write:
    """What gives the command of tar for a type; it ends when the file is on the disk."""

    def command(kind: str) -> list[str]:
        compressing = [] if kind == "none" else [f"--use-compress-program={shlex.join(compressor(kind))}"]
        target = str(folder / "theirs")
        line = shlex.join(["tar", "--create", *KEPT, *compressing, f"--file={target}", f"--directory={root}", "."])
        return ["/bin/sh", "-c", f"{line} && sync {shlex.quote(target)}"]

    return command


def measure(kind: str, rounds: int, ours: Write, theirs: Write) -> None:
    """Print the medians of one type, and that of the ratios within a round."""
    times: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for number in range(rounds + 1):
        for mine in (True, False) if number % 2 else (False, True):
            times[mine].append(seconds((ours if mine else theirs)(kind)))
    pairs = list(zip(times[True][1:], times[False][1:], strict=True))
    medians = [statistics.median(pair[which][0] for pair in pairs) for which in (0, 1)]
    ratios = [statistics.median(one[clock] / other[clock] for one, other in pairs) for clock in (0, 1)]
    print(f"{kind:<8} {medians[0]:8.2f} s {medians[1]:8.2f} s {ratios[0]:7.2f} {ratios[1]:13.2f}", flush=True)


def seconds(command: list[str]) -> tuple[float, float]:
    """How long a command takes, and the time of processors that it and its children use."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
