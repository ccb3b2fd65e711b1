"""What is seen while a root file system is made."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.conftest import RunDirs
from tests.support.program import Program

pytestmark = pytest.mark.requires("root")

FILE = """\
from haconiwa import define
with define() as config:
    config.chroot_to({root!r})
    config.name = "web"
    config.bootstrap.strategy = "shell"
    config.bootstrap.code = {code!r}
"""


@pytest.fixture
def waiting(run_dirs: RunDirs) -> tuple[Path, Path]:
    """A haco file whose bootstrap waits, and the FIFO that it reads from."""
    fifo = run_dirs.base / "fifo"
    os.mkfifo(fifo)
    return haco_file(run_dirs, f"echo before; read word < {fifo}; mkdir bin; echo after-$word"), fifo


def haco_file(run_dirs: RunDirs, code: str) -> Path:
    file = run_dirs.base / "web.haco"
    file.write_text(FILE.format(root=str(run_dirs.lib / "web"), code=code), encoding="utf-8")
    return file


def test_a_terminal_shows_what_goes_on(
    haconiwa_pty: Callable[..., pexpect.spawn[str]], waiting: tuple[Path, Path]
) -> None:
    pytest.importorskip("rich")
    file, fifo = waiting
    terminal = haconiwa_pty("create", file)
    terminal.expect_exact("Creating rootfs of web...")
    terminal.expect(r"Start bootstrapping rootfs with [^.]* \d+(\.\d)? s")
    fifo.write_text("wait\n", encoding="ascii")
    terminal.expect_exact("after-wait")
    terminal.expect_exact("Success!")
    rest = terminal.read()
    terminal.wait()
    shown = (terminal.before or "") + rest
    assert shown.rfind("\x1b[?25l") <= shown.rfind("\x1b[?25h"), "the cursor is visible"
    assert terminal.exitstatus == 0


def test_a_terminal_shows_how_much_is_archived(
    haconiwa_pty: Callable[..., pexpect.spawn[str]], run_dirs: RunDirs
) -> None:
    pytest.importorskip("rich")
    file = haco_file(run_dirs, "head -c 1M /dev/urandom > file")
    fifo = run_dirs.base / "fifo"
    os.mkfifo(fifo)
    wait = f"--checkpoint=9 '--checkpoint-action=exec=read word < {fifo}'"  # after 9 times 64 KiB, once
    terminal = haconiwa_pty("archive", "-v", file, "-d", run_dirs.base / "web.tar", f"--tar-options={wait}")
    terminal.expect(r"Archiving web 5\d\d(\.\d)? KiB, \d+(\.\d)? s")
    fifo.write_text("go on\n", encoding="ascii")
    terminal.expect_exact("Archived web")
    terminal.wait()
    assert terminal.exitstatus == 0


def test_a_terminal_shows_how_much_is_fetched(
    haconiwa_pty: Callable[..., pexpect.spawn[str]], run_dirs: RunDirs
) -> None:
    pytest.importorskip("rich")
    file = run_dirs.base / "web.haco"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/web.tar"
        code = f"    with config.bootstrap as b:\n        b.archive_path, b.sha256 = {url!r}, {'0' * 64!r}\n"
        text = FILE.format(root=str(run_dirs.lib / "web"), code="").replace('"shell"', '"tarball"')
        file.write_text(text[: text.rindex("    config.bootstrap.code")] + code, encoding="utf-8")
        terminal = haconiwa_pty("create", file)
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 4194304\r\n\r\n" + bytes(1 << 20))
            terminal.expect(r"1 MiB of 4 MiB \(25 %\), \d+(\.\d)? s")
            connection.sendall(bytes(3 << 20))
    terminal.expect_exact("is not what was expected")
    terminal.wait()
    assert terminal.exitstatus == 125


def test_an_interrupt_leaves_the_terminal_as_it_was(
    haconiwa_pty: Callable[..., pexpect.spawn[str]], waiting: tuple[Path, Path]
) -> None:
    pytest.importorskip("rich")
    terminal = haconiwa_pty("create", waiting[0])
    terminal.expect_exact("\x1b[?25l")
    terminal.kill(signal.SIGINT)
    shown = terminal.read()
    terminal.wait()
    assert terminal.exitstatus == 130
    assert shown.rfind("\x1b[?25l") < shown.rfind("\x1b[?25h")


def test_without_a_terminal_there_are_lines_only(haconiwa: Program, run_dirs: RunDirs) -> None:
    file = haco_file(run_dirs, "mkdir bin")
    done = haconiwa("create", "-v", file)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    steps = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert all(re.match(r" +\d+\.\d s  \S", line) for line in steps)
    assert re.search(r"Rootfs .*/web has \d", steps[-1])


def test_quiet(haconiwa: Program, run_dirs: RunDirs) -> None:
    done = haconiwa("create", "-q", haco_file(run_dirs, "echo noise; mkdir bin"))
    assert (done.stdout, done.stderr) == ("", "")
