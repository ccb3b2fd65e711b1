"""The modules of a start in one file: written by a start, used by the next, never when it does not fit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.box import Box
from tests.support.program import TREE

pytestmark = pytest.mark.requires("root", "busybox")

RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from haconiwa.cli.main import main; main()"


class Copy:
    """A copy of the program whose image no other test uses."""

    def __init__(self, folder: Path, haco_file: Path) -> None:
        self.source = folder / "src"
        self.haco_file = haco_file
        shutil.copytree(f"{TREE}/src", self.source, ignore=shutil.ignore_patterns("__pycache__"))

    def uses_image(self) -> bool:
        """Start the container: are its modules read from the image, and not from files of their own?"""
        argv = [sys.executable, "-I", "-S", "-v", "-c", RUN, str(self.source), "start", str(self.haco_file)]
        ran = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
        return "supervisor/__pycache__/barn." not in ran.stderr and "supervisor/barn.py" not in ran.stderr

    @property
    def image(self) -> Path:
        (image,) = self.source.glob("haconiwa/__pycache__/start.*.image")
        return image


@pytest.fixture
def copy(box: Box, tmp_path: Path) -> Copy:
    box.write('config.init_command = "/bin/true"')
    return Copy(tmp_path, box.file)


def test_the_first_start_writes_it_and_the_next_one_uses_it(copy: Copy) -> None:
    assert not copy.uses_image()
    assert copy.image.stat().st_size > 100_000
    assert copy.uses_image()


def test_what_only_the_first_start_needs_is_not_in_it(copy: Copy) -> None:
    copy.uses_image()
    content = copy.image.read_bytes()
    assert b"haconiwa/isolation/seccomp/filters.py" in content
    assert b"haconiwa/isolation/seccomp/bpf.py" not in content


@pytest.mark.parametrize("content", [b"", b"something else\n", None])
def test_a_damaged_one_is_passed_over_and_written_anew(copy: Copy, content: bytes | None) -> None:
    copy.uses_image()
    whole = copy.image.read_bytes()
    copy.image.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert not copy.uses_image()
    assert copy.uses_image()


def test_a_changed_source_makes_it_stale(copy: Copy) -> None:
    copy.uses_image()
    with (copy.source / "haconiwa/host/paths.py").open("a") as file:
        file.write("\n")
    assert not copy.uses_image()
    assert copy.uses_image()
