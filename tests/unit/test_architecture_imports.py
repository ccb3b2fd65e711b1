"""What may be loaded on the way to a start: every module costs each start its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

HEAVY = frozenset({
    "argparse", "asyncio", "contextlib", "dataclasses", "difflib", "inspect", "json", "logging", "pathlib", "re",
    "shutil", "socket", "subprocess", "tempfile", "textwrap", "typing",
})  # fmt: skip

ENTRIES = (
    "haconiwa",
    "haconiwa.cli.main",
    "haconiwa.cli.start",
    "haconiwa.dsl.load",
    "haconiwa.lifecycle.start",
    "haconiwa.supervisor.barn",
)


def loaded_by(module: str) -> set[str]:
    """The modules that an interpreter without site packages has loaded after one import."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); __import__(sys.argv[2]); print(*sys.modules)"
    argv = [sys.executable, "-I", "-S", "-B", "-c", code, str(SOURCE), module]
    return set(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", ENTRIES)
def test_nothing_heavy_is_loaded(module: str) -> None:
    assert sorted(loaded_by(module) & HEAVY) == []


def test_the_kernel_knows_nothing_of_containers() -> None:
    ours = {name for name in loaded_by("haconiwa.kernel.mount") if name.startswith("haconiwa.")}
    assert {name.split(".")[1] for name in ours} == {"kernel"}
