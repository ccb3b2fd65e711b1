#!/usr/bin/env python3
"""How long it takes to start a container, run /bin/true in it and clean up, beside the other tools that are installed.

    bench/run.py [--rounds N] [--only NAME,NAME] [--python PROGRAM] [--json]

The whole process is timed, from its creation until it has been waited for. Every round runs each tool once, in shuffled
order, so that a slow moment of the machine meets all alike; ratios are taken within a round. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from typing import NamedTuple

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TREE, os.path.join(TREE, "src")]
sys.dont_write_bytecode = True

from bench.fixtures import Fixtures  # noqa: E402
from bench.isolated import isolated  # noqa: E402
from bench.peers import PEERS, Peer, installed  # noqa: E402

WARM_UP_ROUNDS = 2
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sample(NamedTuple):
    """One run: milliseconds of wall clock, and of processor time of the process and all it waited for."""

    wall_ms: float
    cpu_ms: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often each tool runs (default 30)")
    parser.add_argument("--only", default="", help=f"names from: {' '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter that runs haconiwa")
    parser.add_argument("--json", action="store_true", help="every sample as JSON instead of a table")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("error: starting containers needs root", file=sys.stderr)
        return 1
    peers = list(installed([name for name in options.only.split(",") if name]))
    samples, failures = in_isolation(peers, options.rounds, options.python)
    if options.json:
        print(json.dumps({name: [sample._asdict() for sample in rows] for name, rows in samples.items()}))
    else:
        print_table(samples)
    for name, failure in failures.items():
        print(f"notice: {name} is left out: {failure}", file=sys.stderr)
    return 1 if "haconiwa" in failures else 0


def in_isolation(peers: list[Peer], rounds: int, python: str) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Measure in namespaces of the measurement's own; see `measure` for what is returned."""
    base = tempfile.mkdtemp(prefix="haconiwa-bench-")
    os.chmod(base, 0o755)
    result = os.path.join(base, "result.json")

    def measure_inside() -> None:
        outcome = measure(peers, Fixtures(base, python), rounds)
        with open(result, "w", encoding="utf-8") as file:
            json.dump(outcome, file)

    try:
        if not isolated(measure_inside):
            sys.exit("error: the measurement failed")
        with open(result, encoding="utf-8") as file:
            samples, failures = json.load(file)
    finally:
        shutil.rmtree(base)
    return {name: [Sample(*row) for row in rows] for name, rows in samples.items()}, failures


def measure(peers: list[Peer], fixtures: Fixtures, rounds: int) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Run every peer once per round.

    Returns:
        The samples by name, without the first rounds, and the last line of those that failed.
    """
    runtime = next((name for name in ("runc", "crun") if shutil.which(name)), None)
    if runtime:
        fixtures.make_bundle(runtime)
    if any(peer.name == "haconiwa-net" for peer in peers):
        fixtures.make_bridge()
    samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    failures: dict[str, str] = {}
    for number in range(WARM_UP_ROUNDS + rounds):
        for peer in random.sample(peers, len(peers)):
            if peer.name in failures:
                continue
            status, sample = run_once(peer.argv(fixtures, f"bench-{number}"), os.path.join(fixtures.base, "stderr"))
            if status != 0:
                failures[peer.name] = f"exit status {status}: {last_line(os.path.join(fixtures.base, 'stderr'))}"
                del samples[peer.name]
            elif number >= WARM_UP_ROUNDS:
                samples[peer.name].append(sample)
    return samples, failures


def run_once(argv: list[str], stderr: str) -> tuple[int, Sample]:
    """Run a command to its end; its exit status and times."""
    program = shutil.which(argv[0], path=PATH) or argv[0]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    places = {key: value for key, value in os.environ.items() if key.startswith("HACONIWA_")}
    environ = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **places}
    started = time.perf_counter()
    pid = os.posix_spawn(program, argv, environ, file_actions=actions, setsigdef=[signal.SIGPIPE])
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    return os.waitstatus_to_exitcode(status), Sample(wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3)


def last_line(path: str) -> str:
    """The last line of a text file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return next((line.strip() for line in reversed(file.readlines()) if line.strip()), "no message")


def print_table(samples: dict[str, list[Sample]]) -> None:
    """Best and median wall time, median processor time, and the ratio to haconiwa within each round."""
    notes = {peer.name: peer.note for peer in PEERS}
    limited, plain = samples.get("haconiwa-limited"), samples.get("haconiwa-unconfined")
    if limited and plain:
        times = statistics.median(row.wall_ms / bare.wall_ms for row, bare in zip(limited, plain, strict=True))
        notes["haconiwa-limited"] += f"; {times:.2f} x haconiwa-unconfined"
    ours = samples.get("haconiwa", [])
    print(f"{'':12} {'best ms':>8} {'median':>8} {'cpu ms':>8} {'x haconiwa':>11}")
    for name, rows in sorted(samples.items(), key=lambda item: statistics.median(row.wall_ms for row in item[1])):
        ratios = [row.wall_ms / our.wall_ms for row, our in zip(rows, ours, strict=False)]
        ratio = f"{statistics.median(ratios):11.2f}" if ratios else f"{'-':>11}"
        wall = [row.wall_ms for row in rows]
        cpu = statistics.median(row.cpu_ms for row in rows)
        print(f"{name:12} {min(wall):8.2f} {statistics.median(wall):8.2f} {cpu:8.2f} {ratio}  {notes[name]}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
