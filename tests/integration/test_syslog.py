"""What supervisors in the background tell journald and syslog, which are sockets of the test's own here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.integration.box import Box, wait_until

pytestmark = pytest.mark.requires("root", "busybox")

HOOKS = """\
config.add_general_hook("before_start_wait", lambda base: base.log("a\\x1b[2J word\\n<0>next"))
config.add_general_hook("teardown_container", lambda base: 1 / 0)
"""


class Receiver:
    """A daemon that takes datagrams."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def packets(self) -> list[bytes]:
        """What has come so far."""
        found = []
        while select.select([self.socket], [], [], 0)[0]:
            found.append(self.socket.recv(1 << 20))
        return found

    def close(self) -> None:
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def journal(run_dirs: RunDirs) -> Iterator[Receiver]:
    one = Receiver(run_dirs.base / "journal")
    yield one
    one.close()


@pytest.fixture
def syslog(run_dirs: RunDirs) -> Iterator[Receiver]:
    one = Receiver(run_dirs.base / "syslog")
    yield one
    one.close()


def sockets(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    links = []
    with contextlib.suppress(OSError):  # it has ended
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:")}


def datagram_sockets(pid: int) -> set[str]:
    lines = [line.split() for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]]
    return sockets(pid) & {line[6] for line in lines if int(line[4], 16) == socket.SOCK_DGRAM}


def entry(packet: bytes) -> dict[str, str]:
    """The fields of an entry, in both forms of the protocol."""
    fields = {}
    while packet:
        line, _, packet = packet.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(packet[:8], "little")
            value, rest = packet[8 : 8 + size], packet[8 + size :]
            assert rest[:1] == b"\n"
            packet = rest[1:]
        fields[name.decode()] = value.decode()
    return fields


IN_A_MACHINE_WITH_JOURNALD = """\
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/log/journal
/lib/systemd/systemd-journald 2>/dev/null &
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
"$@" 2>/dev/null
journalctl --sync
journalctl -o json HACONIWA_CONTAINER="$NAME"
"""


def run_to_end(box: Box, *argv: str) -> None:
    box.haconiwa("start", "-D", box.file, "--", *argv)
    wait_until(lambda: not box.run_dir.exists(), "it has ended")


def test_the_journal(box: Box, journal: Receiver, syslog: Receiver) -> None:
    box.write(rest=HOOKS)
    run_to_end(box, "/bin/sh", "-c", "echo of the program; exit 7")
    entries = [entry(packet) for packet in journal.packets()]
    assert syslog.packets() == [], "journald takes it all"
    for one in entries:
        assert one["SYSLOG_IDENTIFIER"] == "haconiwa"
        assert (one["HACONIWA_CONTAINER"], one["HACONIWA_FILE"]) == (box.name, str(box.file))
        assert one["SYSLOG_FACILITY"] == "3"
        assert int(one["SYSLOG_PID"]) > 1
    told = [(one["PRIORITY"], one["MESSAGE"]) for one in entries]
    assert re.fullmatch(r"Container fork success and going to wait: pid=\d+", told[0][1])
    assert told[1] == ("6", f"{box.name}: a\\x1b[2J word\\x0a<0>next")
    assert told[2][1].endswith("finish detected: exited(7)")
    assert [priority for priority, _ in told] == ["6", "6", "6", "6", "3"]
    error, *more = told[-1][1].split("\n")
    assert error.startswith(f'error: {box.name}: the teardown_container hook "<lambda>"')
    assert any(line.startswith("  at: ") for line in more), "a message of several lines is one entry"
    assert "of the program" not in str(told)


def test_syslog_where_there_is_no_journal(box: Box, syslog: Receiver) -> None:
    box.write(rest=HOOKS)
    run_to_end(box, "/bin/sh", "-c", "exit 7")
    lines = [packet.decode() for packet in syslog.packets()]
    form = rf"<(\d+)>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d haconiwa\[\d+\]: {box.name}: (.*)"
    told = [match.groups() if (match := re.fullmatch(form, line)) else line for line in lines]
    assert told[1] == ("30", f"{box.name}: a\\x1b[2J word\\x0a<0>next")
    error = next(number for number, one in enumerate(told) if one[1].startswith("error: "))
    assert {one[0] for one in told[:error]} == {"30"}
    assert {one[0] for one in told[error:]} == {"27"}


@pytest.mark.parametrize("level", ["warning", "error"])
def test_the_level_counts(box: Box, journal: Receiver, level: str) -> None:
    box.write(f"config.log_level = {level!r}", rest='config.add_general_hook("teardown_container", lambda base: 1 / 0)')
    run_to_end(box, "true")
    assert [entry(packet)["PRIORITY"] for packet in journal.packets()] == ["3"]


def test_a_start_that_fails(box: Box, journal: Receiver) -> None:
    box.haconiwa("start", "-D", box.file, "--", "nothing-of-the-kind", expect=127)
    (one,) = [entry(packet) for packet in journal.packets()]
    assert one["MESSAGE"].startswith(f'error: {box.name}: cannot execute "nothing-of-the-kind"')
    assert (one["PRIORITY"], one["HACONIWA_CONTAINER"]) == ("3", box.name)


def test_what_the_barn_itself_cannot_do(box: Box, journal: Receiver) -> None:
    """In the background it has no stderr that anybody could see."""
    box.write(rest='config.add_general_hook("teardown", lambda barn: 1 / 0)')
    run_to_end(box, "true")
    told: list[dict[str, str]] = []

    def barn_tells() -> bool:
        told.extend(entry(packet) for packet in journal.packets())
        return "teardown hook" in str(told[-1:])

    wait_until(barn_tells, "the barn tells")
    assert told[-1]["PRIORITY"] == "3"
    assert "HACONIWA_CONTAINER" not in told[-1]


def test_it_can_be_turned_off(box: Box, journal: Receiver, syslog: Receiver, run_dirs: RunDirs) -> None:
    run_dirs.config.write_text("from haconiwa import configure\nconfigure().syslog = False\n", encoding="ascii")
    run_to_end(box, "true")
    assert journal.packets() + syslog.packets() == []


def test_a_container_in_the_foreground_tells_its_caller_alone(box: Box, journal: Receiver) -> None:
    box.run("true")
    assert journal.packets() == []


def test_nothing_of_it_is_open_in_the_container(box: Box, journal: Receiver) -> None:
    """The socket is the supervisor's: neither the program nor hooks inside can use it, nor does ours open another."""
    box.write(rest='config.add_general_hook("after_chroot", lambda base: base.log("from inside"))')
    (box.root / "dev").mkdir(exist_ok=True)
    state = box.daemon("ls -l /proc/self/fd >/fds; echo up >/up; exec sleep 1000")
    wait_until((box.root / "up").exists, "it has looked")
    (of_supervisor,) = datagram_sockets(state["supervisor"]["pid"])
    holders = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and of_supervisor in sockets(int(pid))]
    assert len(holders) == 2, "the barn and the supervisor, not what leads the output to the log"
    assert "socket:" not in (box.root / "fds").read_text()
    box.stop()
    entries = [entry(packet) for packet in journal.packets()]
    assert {one["SYSLOG_PID"] for one in entries} == {str(state["supervisor"]["pid"])}
    assert "from inside" not in str(entries)


def test_a_daemon_that_is_started_again_is_found_again(box: Box, run_dirs: RunDirs) -> None:
    os.mkfifo(box.root / "go")
    first = Receiver(run_dirs.base / "syslog")
    box.daemon("read word </go; exit 7")
    assert "fork success" in first.packets()[0].decode()
    first.close()
    second = Receiver(run_dirs.base / "syslog")
    (box.root / "go").write_text("\n")
    wait_until(lambda: not box.run_dir.exists(), "it has ended")
    assert any(b"finish detected: exited(7)" in packet for packet in second.packets())
    second.close()


def test_one_that_does_not_read_is_not_waited_for(box: Box, journal: Receiver) -> None:
    box.write(rest='config.add_general_hook("before_start_wait", lambda b: [b.log("x" * 9999) for _ in range(2000)])')
    run_to_end(box, "true")
    packets = journal.packets()
    assert 0 < len(packets) < 2000
    assert max(map(len, packets)) < 5000


def test_a_full_disk_under_the_log_ends_nothing(box: Box, run_dirs: RunDirs) -> None:
    from haconiwa.kernel.mount import MNT, mount, umount2

    run_dirs.log.mkdir(parents=True, exist_ok=True)
    mount("none", str(run_dirs.log), "tmpfs", 0, "size=4k")
    try:
        log = run_dirs.log / f"{box.name}.supervisor.log"
        log.write_bytes(b"x" * 4096)
        state = box.daemon()
        assert box.status() == "running"
        assert log.stat().st_size == 4096
        box.stop()
        assert state["supervisor"]["pid"] > 0
    finally:
        umount2(str(run_dirs.log), MNT.DETACH)


@pytest.mark.requires("journalctl")
def test_what_a_real_journald_understands(box: Box) -> None:
    box.write(rest=HOOKS)
    argv = [box.haconiwa.path, "start", "-D", str(box.file), "--", "nothing-of-the-kind"]
    environ = {
        key: value for key, value in box.haconiwa.environ({"NAME": box.name}).items() if key != "HACONIWA_JOURNAL"
    }
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    shell = [*unshare, "sh", "-c", IN_A_MACHINE_WITH_JOURNALD, "sh", *argv]
    done = subprocess.run(shell, env=environ, capture_output=True, text=True, timeout=60)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["PRIORITY"] for one in entries] == ["3", "3"], done
    for one in entries:
        assert one["SYSLOG_IDENTIFIER"] == "haconiwa"
        assert one["_PID"] == one["SYSLOG_PID"]
        assert one["HACONIWA_FILE"] == str(box.file)
    start, hook = (one["MESSAGE"] for one in entries)
    assert start.startswith(f'error: {box.name}: cannot execute "nothing-of-the-kind"')
    assert "\n  at: " in hook
