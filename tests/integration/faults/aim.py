"""One process of a start is killed at the entry of its Nth system call, or that call fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

from tests.integration.box import DEADLINE_S, Box, wait_until

CALLER, BARN, SUPERVISOR = "caller", "barn", "supervisor"
"""Who is to be killed; in the foreground the caller is the barn."""

_WAIT_FOR_STRACE = """\
import signal, sys
_forks = []
_told = os.dup({fd})  # what the file opens itself a daemon keeps
def _forked():
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code.co_filename.endswith("log_relay.py"):
            return  # the process that writes the logs
    _forks.append(None)
    if len(_forks) == {generation}:
        os.write(_told, b"%d\\n" % os.getpid())
        os.kill(os.getpid(), signal.SIGSTOP)
os.register_at_fork(after_in_child=_forked)
"""


class Aim:
    """A start of a box whose chosen process strace has hold of from its first system call on.

    Args:
        box: What is started. Its haco file gets the lines that let the process wait for strace.
        victim: One of the words above.
        daemon: Start it in the background.
        settings: As for `Box.write`.
    """

    def __init__(self, box: Box, victim: str, *, daemon: bool, settings: str = "") -> None:
        self._box = box
        self._options = ("-D",) if daemon else ()
        self._settings = settings
        self._generation = (CALLER, BARN, SUPERVISOR).index(victim)
        if victim == SUPERVISOR and not daemon:
            self._generation = 1
        self._trace = box.folder / "trace"
        self._strace: subprocess.Popen[bytes] | None = None

    def calls(self) -> list[str]:
        """What the process calls when it is left alone, as what `shoot` takes: ``openat:when=3`` is its third openat.

        strace itself counts the calls of one name only.
        """
        self._once()
        counts: Counter[str] = Counter()
        found = []
        for name in re.findall(r"^(\w+)\(", self._trace.read_text(errors="replace"), re.MULTILINE):
            counts[name] += 1
            found.append(f"{name}:when={counts[name]}")
        return found

    def shoot(self, call: str) -> bool:
        """Start, kill at a system call, and in the background stop what runs all the same.

        Returns:
            Whether the process got that far; False when it ended before.
        """
        self._once("-e", f"inject={call}:signal=KILL")
        return "+++ killed by SIGKILL +++" in self._trace.read_text(errors="replace")

    def fail(self, call: str, error: str) -> tuple[int, str]:
        """Start, and let a system call fail; the exit status, and what was said."""
        return self._once("-e", f"inject={call}:error={error}")

    def _once(self, *injection: str) -> tuple[int, str]:
        self._trace.write_text("")
        read_fd, write_fd = os.pipe()
        try:
            lines = _WAIT_FOR_STRACE.format(generation=self._generation, fd=write_fd) if self._generation else ""
            self._box.write(self._settings, rest=lines)
            ended = self._run(["strace", "-o", str(self._trace), *injection], read_fd, write_fd)
        finally:
            os.close(read_fd)
        if self._options:
            self._box.haconiwa("stop", "-T", "0", self._box.name, expect=None)
        if self._strace:
            self._strace.wait(DEADLINE_S)
        return ended

    def _run(self, strace: list[str], read_fd: int, write_fd: int) -> tuple[int, str]:
        program = [self._box.haconiwa.path, "start", *self._options, str(self._box.file), "--", "/bin/sleep"]
        argv = [*program, "1000" if self._options else "0"]
        with subprocess.Popen(
            argv if self._generation else [*strace, *argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self._box.haconiwa.environ(), pass_fds=[write_fd],
        ) as process:  # fmt: skip
            os.close(write_fd)
            if self._generation and (pid := int(os.read(read_fd, 16) or b"0")):
                self._strace = subprocess.Popen([*strace, "-p", str(pid)], stderr=subprocess.DEVNULL)
                try:
                    wait_until(lambda: "TracerPid:\t0\n" not in _status(pid), "strace does not come")
                finally:
                    os.kill(pid, signal.SIGCONT)
            stderr = process.communicate(timeout=DEADLINE_S)[1]
        return process.returncode, stderr.decode(errors="replace")


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
