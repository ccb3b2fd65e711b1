"""Containers for tests: a haco file over a busybox root, and what is run in it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect

from haconiwa.spec.model import DEFAULT_CAPABILITIES
from tests.support.program import Program

DEADLINE_S = 20.0
CAPABILITIES = frozenset(DEFAULT_CAPABILITIES) - {"audit_read"}
"""What a container may have that uses the host's network and does not say more."""
INDEPENDENT = ("procfs", "sysfs", "devtmpfs", "devpts", "shm")
HEEDS_TERM = "trap 'exit 4' TERM; while :; do sleep 0.05; done"
"""A program that need not be killed: TERM makes it exit with status 4."""
HOST_GROUPS = f"config.namespace.enter('cgroup', '/proc/{os.getpid()}/ns/cgroup')"
"""A setting that lets a container see its groups by their paths on the host."""
NAMESPACES = ("mount", "ipc", "uts", "pid")

_HACO = """\
import os
from haconiwa import define
with define() as config:
    config.name = {name!r}
    config.init_command = {command!r}
    config.container_pid_file = {pid_file!r}
{root}{independent}    config.namespace.unshare({namespaces})
{settings}
{rest}
"""


class Box:
    """One container of one test. Its name is its own on the whole machine, because cgroups are everybody's.

    Attributes:
        name: The container's name.
        root: Its root file system on the host.
        file: Its haco file.
        settings_line: Number of the first line of the settings given to `write`.
    """

    def __init__(self, haconiwa: Program, folder: Path, root: Path, name: str) -> None:
        self.haconiwa = haconiwa
        self.folder = folder
        self.root = root
        self.name = name
        self.file = folder / f"{name}.haco"
        self.settings_line = 0

    @property
    def run_dir(self) -> Path:
        """The directory of its state."""
        return Path(os.environ["HACONIWA_RUN_DIR"]) / self.name

    @property
    def pid_file(self) -> Path:
        """Where its supervisor writes its pid."""
        return self.folder / "run" / f"{self.name}.pid"

    def write(
        self,
        settings: str = "",
        rest: str = "",
        *,
        command: tuple[str, ...] = ("/bin/sh",),
        namespaces: tuple[str, ...] = NAMESPACES,
        independent: tuple[str, ...] = INDEPENDENT,
        root: Path | str | None = "",
    ) -> Path:
        """Write the haco file.

        Args:
            settings: Lines of the ``with`` block, where ``root`` is the root's path.
            rest: Lines after it.
            command: The init command.
            namespaces: Words of ``namespace.unshare``.
            independent: Words of ``mount_independent``; none when empty.
            root: Another root file system than the box's; None for the host's root.
        """
        path = self.root if root == "" else root
        text = _HACO.format(
            name=self.name,
            command=list(command),
            pid_file=str(self.pid_file),
            root="" if path is None else f"    root = config.chroot_to({str(path)!r})\n",
            independent=f"    config.mount_independent{independent!r}\n".replace(",)", ")") if independent else "",
            namespaces=", ".join(repr(name) for name in namespaces),
            settings=textwrap.indent(textwrap.dedent(settings), "    "),
            rest=textwrap.dedent(rest),
        )
        head = text[: text.index("    config.namespace.unshare(")]
        self.settings_line = head.count("\n") + 2
        self.file.write_text(text, encoding="utf-8")
        return self.file

    def run(self, *argv: str, expect: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Start it with that command and wait for its end."""
        command = ["--", *argv] if argv else []
        return self.haconiwa("start", self.file, *command, expect=expect, **options)

    def sh(self, script: str, *, expect: int | None = 0, **options: Any) -> str:
        """What a shell script prints in it."""
        return self.run("/bin/sh", "-c", textwrap.dedent(script), expect=expect, **options).stdout

    def fails(self, *argv: str, expect: int = 125) -> str:
        """The messages of a start that must fail."""
        return self.run(*argv, expect=expect).stderr

    def daemon(self, script: str = "echo ready; exec sleep 1000") -> dict[str, Any]:
        """Start it in the background with a shell script; its state once it runs."""
        self.haconiwa("start", "-D", self.file, "--", "/bin/sh", "-c", script)
        return self.state()

    @contextlib.contextmanager
    def background(self, script: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Start it in the foreground of a process that does not wait: its pipes are the container's.

        The process is ended with the block.
        """
        with self.haconiwa.start("start", *options, self.file, "--", "/bin/sh", "-c", script) as process:
            try:
                yield process
            finally:
                self.stop(expect=None)  # a first process without a handler for TERM would be given time for one
                process.terminate()

    def attach(
        self, *argv: str, options: tuple[str, ...] = (), expect: int | None = 0, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it by ``haconiwa attach`` with these options."""
        return self.haconiwa("attach", *options, self.name, "--", *argv, expect=expect, **more)

    def stop(self, expect: int | None = 0, timeout_s: float = 0) -> None:
        """Stop it, at once unless there is a time for TERM."""
        self.haconiwa("stop", "-T", str(timeout_s), self.name, expect=expect)

    def state(self) -> dict[str, Any]:
        """What is recorded of it."""
        content: dict[str, Any] = json.loads((self.run_dir / "state.json").read_text(encoding="utf-8"))
        return content

    def status(self) -> str:
        """What ``haconiwa ps`` says of it."""
        rows = json.loads(self.haconiwa("ps", "--json").stdout)
        return next((row["status"] for row in rows if row["name"] == self.name), "")

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What ``haconiwa events`` tells of it; of these kinds only, if there are any."""
        found = [json.loads(line) for line in self.haconiwa("events", "--json", self.name).stdout.splitlines()]
        return [event for event in found if not kinds or event["event"] in kinds]

    def groups(self) -> list[str]:
        """Its control groups that exist."""
        found = []
        for parent, folders, _files in os.walk("/sys/fs/cgroup"):
            if parent.endswith(f"/haconiwa/{self.name}"):
                found.append(parent)
            if parent.count("/") > 6:
                folders.clear()
        return found

    def nothing_left(self) -> None:
        """Fail unless all of it is gone."""
        assert not self.groups()
        assert not self.run_dir.exists()
        assert not self.pid_file.exists()
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            assert str(self.root) not in mounts.read()


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Wait for something that offers no descriptor to wait on."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain: {what}")
        select.select([], [], [], 0.01)


class Watched:
    """A process whose end can be waited for, whoever its parent is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self.fd, number)

    def ended(self, timeout_s: float = DEADLINE_S) -> bool:
        """Whether it ends in time."""
        return bool(select.select([self.fd], [], [], timeout_s)[0])

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)


def finish(process: subprocess.Popen[str], expect: int | None = 0) -> tuple[str, str]:
    """Wait for a program's end and read the rest of its output."""
    try:
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("it has not ended") from None
    assert expect is None or process.returncode == expect, (process.returncode, stdout, stderr)
    return stdout, stderr


def insist(process: subprocess.Popen[str]) -> None:
    """Ask a program to stop until it has ended: what comes right after another signal is the same request."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise AssertionError("it does not end when it is told again and again")
        process.send_signal(signal.SIGINT)
        select.select([], [], [], 0.1)


def ends(child: pexpect.spawn[str], expect: int) -> str:
    """Wait for the end of a program on a terminal; what it still printed."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == expect, (child.exitstatus, child.signalstatus, child.before)
    return str(child.before)
