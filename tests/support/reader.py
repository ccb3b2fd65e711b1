"""Pages whose blocks of code are run, in their order, as a reader would.

A comment above a block says what it is: ``<!-- file: NAME -->`` a file to write, ``<!-- terminal -->`` a session on a
terminal, ``<!-- not run: REASON -->`` what cannot be run here. Other console blocks are commands after ``# ``, each
with what it prints; ``...`` stands for any lines, numbers for any numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect

from tests.support.program import TREE, Program

_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
_PROMPT = "root@garden:/# "


class Block:
    """One block of code: what the comment above it says, its language and its text."""

    def __init__(self, match: re.Match[str], text: str) -> None:
        self.mark = match["mark"] or ""
        self.language = match["language"]
        self.text = match["text"]
        self.line = text.count("\n", 0, match.start("text")) + 1


def blocks(page: str) -> list[Block]:
    """The blocks of a page of the project's."""
    text = Path(TREE, page).read_text(encoding="utf-8")
    return [Block(match, text) for match in _BLOCK.finditer(text)]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def pattern(printed: str) -> re.Pattern[str]:
    """What the output has to match: numbers and the width of gaps are free."""
    lines = []
    for line in printed.splitlines():
        shown = re.escape(" ".join(line.split()))
        lines.append("(?:.*\n)*?" if line == "..." else re.sub(r"\d+", r"\\d+", shown) + "\n")
    return re.compile("".join(lines))


def normal(output: str) -> str:
    """The output with gaps of one blank."""
    return "".join(" ".join(line.split()) + "\n" for line in output.splitlines())


class Reader:
    """Somebody who types all that a page shows.

    Args:
        page: Its path in the project.
        base: The directory of the test, with its ``lib`` and ``log``.
        programs: The project's commands.
        not_run: The reasons for which a block may be left out.
    """

    def __init__(self, page: str, base: Path, programs: tuple[Program, ...], not_run: frozenset[str]) -> None:
        self.folder = base / "reader"
        self._page = page
        self._base = base
        self._not_run = not_run
        folder = self.folder / "bin"
        folder.mkdir(parents=True)
        for program in programs:
            (folder / os.path.basename(program.path)).symlink_to(program.path)
        shutil.copytree(Path(TREE) / "scripts", self.folder / "scripts")
        for name in ("src", "examples"):
            (self.folder / name).symlink_to(Path(TREE) / name)
        self.environ = programs[0].environ({"PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb"})

    def read(self) -> None:
        """Do all of it."""
        for block in blocks(self._page):
            self.run(block)

    def run(self, block: Block) -> None:
        """Do what one block shows, and compare."""
        text = block.text.replace("/tmp/by-hand", f"{self.folder}/by-hand")
        for name in ("lib", "log"):
            text = text.replace(f"/var/{name}/haconiwa", f"{self._base}/{name}/haconiwa")
        if block.mark.startswith("file: "):
            (self.folder / block.mark.removeprefix("file: ")).write_text(text, encoding="utf-8")
        elif block.mark == "terminal":
            self.type(text)
        elif block.mark:
            assert block.mark.removeprefix("not run: ") in self._not_run
        else:
            assert block.language == "console", f"{self._page}:{block.line}: no test knows what to do with this block"
            for command, printed in commands(text):
                self.enter(block, command, printed)

    def enter(self, block: Block, command: str, printed: str) -> None:
        """Run one command of a console block."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (block.line, command, done.stdout)
        assert pattern(printed).fullmatch(normal(done.stdout)), (block.line, command, done.stdout)

    def type(self, text: str) -> None:
        """Type at the prompts and compare what comes in between."""
        ((command, session),) = commands(text)
        child = pexpect.spawn("bash", ["-c", command], cwd=str(self.folder), env=self.environ, encoding="utf-8")
        try:
            first, *exchanges = session.split(_PROMPT)
            self.expect(child, first)
            for exchange in exchanges:
                typed, _, answer = exchange.partition("\n")
                child.expect_exact(_PROMPT, timeout=10)
                child.sendline(typed)
                child.expect_exact(f"{typed}\r\n", timeout=10)
                self.expect(child, answer)
            child.expect(pexpect.EOF, timeout=10)
        finally:
            child.close(force=True)
        assert child.exitstatus == 0

    @staticmethod
    def expect(child: pexpect.spawn[str], printed: str) -> None:
        """Wait for the lines that are shown."""
        for line in printed.splitlines():
            shown = r"\s+".join(re.sub(r"\d+", r"\\d+", re.escape(word)) for word in line.split())
            child.expect(rf"\s*{shown}\s*\r\n", timeout=10)
