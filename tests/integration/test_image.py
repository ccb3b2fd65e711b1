"""The modules of a start in one file: written by a start, used by the next, never when it does not fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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

    def uses_image(self, module: str = "supervisor/barn") -> bool:
        """Start the container: is this module read from the image, and not from a file of its own?"""
        argv = self.argv("-v", "start", str(self.haco_file))
        ran = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr[-2000:]
        return _is_silent_about(module, ran.stderr)

    def argv(self, option: str, *args: str) -> list[str]:
        """The command line of this program, with an option for Python."""
        return [sys.executable, "-I", "-S", option, "-c", RUN, str(self.source), *args]

    @property
    def image(self) -> Path:
        (image,) = self.source.glob("haconiwa/__pycache__/*.image")
        return image


def _is_silent_about(module: str, imports: str) -> bool:
    folder, name = module.rsplit("/", 1)
    return f"{folder}/__pycache__/{name}." not in imports and f"{module}.py" not in imports


@pytest.fixture
def copy(box: Box, tmp_path: Path) -> Copy:
    box.write('config.init_command = "/bin/true"')
    return Copy(tmp_path, box.file)


def test_the_first_start_writes_it_and_the_next_one_uses_it(copy: Copy) -> None:
    assert not copy.uses_image()
    assert copy.image.stat().st_size > 100_000
    assert copy.uses_image()


def test_the_second_start_writes_what_it_has_learned_and_the_third_nothing(copy: Copy) -> None:
    files = []
    for _ in range(3):
        copy.uses_image()
        files.append((copy.image.stat().st_ino, copy.image.read_bytes()))
    first, second, third = files
    assert first != second
    assert second == third


def test_hacopy_has_the_docstrings_that_it_leaves_out(copy: Copy) -> None:
    copy.uses_image()
    code = "import sys; sys.argv[0] = 'hacopy'; " + RUN.replace("main import", "hacopy import")
    script = "print([name for name in ('unshare', 'close_range', 'run_child') if not globals()[name].__doc__])"
    argv = [sys.executable, "-I", "-c", code, str(copy.source), "-"]
    assert subprocess.run(argv, check=True, capture_output=True, text=True, input=script).stdout == "[]\n"


def test_functions_that_starts_do_not_call_are_there_when_they_are_called(copy: Copy) -> None:
    for _ in range(2):
        copy.uses_image()
    ran = subprocess.run(
        copy.argv("-B", "--debug", "start", str(copy.haco_file), "--", "/bin/nothing"),
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 127
    assert 'cannot execute "/bin/nothing"' in ran.stderr
    assert "pivot into the root file system" in ran.stderr  # descriptions, which no quiet start makes


def test_what_one_start_does_not_need_is_in_it_too(copy: Copy) -> None:
    copy.uses_image()
    run = subprocess.run(copy.argv("-v", "version"), check=True, capture_output=True, text=True, timeout=60)
    assert _is_silent_about("cli/version", run.stderr)


@pytest.mark.parametrize("content", [b"", b"something else\n", None])
def test_a_damaged_one_is_passed_over_and_written_anew(copy: Copy, content: bytes | None) -> None:
    copy.uses_image()
    whole = copy.image.read_bytes()
    copy.image.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert not copy.uses_image()
    assert copy.uses_image()


def test_one_that_others_can_write_to_is_neither_made_nor_used(copy: Copy) -> None:
    umask = os.umask(0)
    try:
        copy.uses_image()
    finally:
        os.umask(umask)
    assert copy.image.stat().st_mode & 0o777 == 0o644
    copy.image.chmod(0o666)
    assert not copy.uses_image()
    assert copy.uses_image()


def test_a_changed_source_makes_it_stale(copy: Copy) -> None:
    copy.uses_image()
    with (copy.source / "haconiwa/host/paths.py").open("a") as file:
        file.write("\n")
    assert not copy.uses_image("host/paths")
    assert not copy.uses_image("host/paths")  # it loads by itself what the next one uses
    assert copy.uses_image("host/paths")


def test_what_only_an_older_version_needed_is_not_loaded_for_ever(copy: Copy) -> None:
    source = copy.source / "haconiwa/cli/start.py"
    text = source.read_text()
    copy.haco_file.write_text("import sys; print('haconiwa.cli.version' in sys.modules)\n" + copy.haco_file.read_text())

    def after_starts() -> str:
        argv = copy.argv("-B", "start", str(copy.haco_file))
        for _ in range(3):
            copy.uses_image()
        ran = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
        return (ran.stdout + ran.stderr).splitlines()[0]

    source.write_text(f"{text}import haconiwa.cli.version\n")
    assert after_starts() == "True"
    source.write_text(text)
    assert after_starts() == "False"


def test_a_source_only_some_commands_need_may_change(copy: Copy) -> None:
    copy.uses_image()
    with (copy.source / "haconiwa/cli/version.py").open("a") as file:
        file.write("import os; os.write(2, b'changed')\n")
    run = subprocess.run(copy.argv("-B", "version"), check=True, capture_output=True, text=True, timeout=60)
    assert "changed" in run.stderr
    assert copy.uses_image()


@pytest.mark.parametrize("put", [shutil.copytree, shutil.move], ids=["copied", "moved"])
def test_a_tree_at_another_place_does_not_use_what_came_along(
    copy: Copy, tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    copy.uses_image()
    put(copy.source, tmp_path / "elsewhere")
    copy.source = tmp_path / "elsewhere"
    assert not copy.uses_image()
    assert copy.uses_image()


def test_a_removed_image_is_missed_by_nobody(copy: Copy) -> None:
    for _ in range(2):
        copy.uses_image()
    remove = f"import os\nif os.path.exists({str(copy.image)!r}): os.unlink({str(copy.image)!r})\n"
    copy.haco_file.write_text(remove + copy.haco_file.read_text())
    assert copy.uses_image()
    assert not copy.uses_image()
