"""A program that looks for ways out of the place it runs in. Nothing outside the standard library is imported.

It reads facts about the host as JSON from its only argument and prints a JSON object: for each check what it has found,
nothing where all is well. It changes nothing, wherever it runs: what it tries has arguments that cannot work, or is
given back at once.

Facts: ``namespaces`` of the host by name; ``numbers`` of system calls; ``keyring``, the serial number of the caller's
session keyring; ``hostname`` of the host; ``group``, how the path of the control group must end; ``capabilities``, the
mask that must be there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import stat
import sys
import termios
from collections.abc import Callable, Iterator
from typing import Any

Facts = dict[str, Any]
CHECKS: list[Callable[[Facts], Iterator[str]]] = []

HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
"""null zero full random urandom, tty console ptmx; terminals have major 136 and above."""
TERMINALS = range(136, 144)
KNOBS = (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run",
)  # fmt: skip
"""Files that command the whole machine."""
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys")
CALLS = {
    "add_key": (0, 0, 0, 0, 0), "bpf": (-1, 0, 0), "delete_module": (0, 0), "init_module": (0, 0, 0),
    "io_uring_setup": (0, 0), "kexec_load": (0, 0, 0, 0xFFFF), "keyctl": (0x7FFFFFFF, 0, 0), "mount": (0, 0, 0, 0, 0),
    "open_by_handle_at": (-1, 0, 0), "perf_event_open": (0, 0, -1, -1, 0), "pivot_root": (0, 0), "reboot": (0, 0, 0),
    "setns": (-1, 0), "swapon": (0, 0), "umount2": (0, 0), "unshare": (0,), "userfaultfd": (-1,),
    "fsopen": (0, 0), "open_tree": (-1, 0, 0), "move_mount": (-1, 0, -1, 0, 0), "fspick": (-1, 0, 0),
}  # fmt: skip
"""System calls that nobody inside needs, with arguments that no kernel answers with EPERM by itself."""
ENVIRONMENT = {"PATH", "HOME", "container", "TERM"}
_libc = ctypes.CDLL(None, use_errno=True)


def check(function: Callable[[Facts], Iterator[str]]) -> Callable[[Facts], Iterator[str]]:
    CHECKS.append(function)
    return function


def fields() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in file)}


def mounts() -> dict[str, tuple[str, set[str], str]]:
    """Type, own options and optional fields by mount point, of several on one point the last."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            words = left.split()
            found[words[4]] = (right.split()[0], set(words[5].split(",")), " ".join(words[6:]))
    return found


@check
def devices(_facts: Facts) -> Iterator[str]:
    """Hole 1: nodes of the host's disks, memory and messages."""
    for folder, _folders, files in os.walk("/dev"):
        for path in (f"{folder}/{name}" for name in files):
            with contextlib.suppress(OSError):
                yield from _node(path, os.lstat(path))


def _node(path: str, found: os.stat_result) -> Iterator[str]:
    number = (os.major(found.st_rdev), os.minor(found.st_rdev))
    if stat.S_ISBLK(found.st_mode):
        yield f"{path} is a block device"
    elif stat.S_ISCHR(found.st_mode) and number not in HARMLESS and number[0] not in TERMINALS:
        yield f"{path} is device {number}"


@check
def making_devices(_facts: Facts) -> Iterator[str]:
    """Hole 1: a node of one's own, which must not be made, or else not be opened."""
    path = f"/tmp/node-{os.getpid()}"
    with contextlib.suppress(PermissionError):
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 11))
        os.unlink(path)
        yield "a node of /dev/kmsg can be made"


@check
def knobs(_facts: Facts) -> Iterator[str]:
    """Hole 2: files of proc and sys that are root on the host. Opening one does nothing yet."""
    for path in KNOBS:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            yield f"{path} can be written"


@check
def read_only(_facts: Facts) -> Iterator[str]:
    """Section 4: what is read-only, all below it too."""
    table = mounts()
    for path in READ_ONLY:
        if os.path.exists(path) and not os.statvfs(path).f_flag & os.ST_RDONLY:
            yield f"{path} is not read-only"
    yield from (
        f"{point} is not read-only" for point in table if point.startswith("/sys/") and "ro" not in table[point][1]
    )


@check
def mount_options(_facts: Facts) -> Iterator[str]:
    """Section 4: nosuid, nodev and noexec where nothing needs them."""
    table = mounts()
    for point, expected in (
        ("/", {"nodev"}), ("/proc", {"nosuid", "nodev", "noexec"}), ("/sys", {"nosuid", "nodev", "noexec"}),
        ("/dev", {"nosuid", "noexec"}), ("/dev/shm", {"nosuid", "nodev"}), ("/tmp", {"nosuid", "nodev"}),
    ):  # fmt: skip
        if point not in table:
            yield f"{point} is no mount"
        elif missing := expected - table[point][1]:
            yield f"{point} lacks {' '.join(sorted(missing))}"


@check
def propagation(_facts: Facts) -> Iterator[str]:
    """Section 4: no mount reaches the host, or comes from it."""
    for point, (_type, _options, optional) in mounts().items():
        if "shared:" in optional or "master:" in optional:
            yield f"{point} is {optional}"


@check
def capabilities(facts: Facts) -> Iterator[str]:
    """Hole 3: all five sets."""
    shown = fields()
    for name in ("CapPrm", "CapEff", "CapBnd"):
        if int(shown[name], 16) != facts["capabilities"]:
            yield f"{name} {shown[name]}"


@check
def inherited_capabilities(_facts: Facts) -> Iterator[str]:
    """Hole 3: what a program that is not root would keep."""
    yield from (f"{name} {fields()[name]}" for name in ("CapInh", "CapAmb") if int(fields()[name], 16))


@check
def system_calls(facts: Facts) -> Iterator[str]:
    """Section 4, and hole 3 of attach: what is filtered, or needs a capability that is not there."""
    if fields()["Seccomp"] != "2":
        yield "no filter"
    for name, arguments in CALLS.items():
        ctypes.set_errno(0)
        number = facts["numbers"].get(name)
        if number is None:
            continue
        _libc.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments])
        if ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
            yield name


@check
def session(_facts: Facts) -> Iterator[str]:
    """Hole 4: a session of its own, whose leader is in its own pid namespace."""
    shown = fields()
    if not shown["NSsid"] == shown["NSpgid"] == shown["Pid"]:
        yield f"session {shown['NSsid']}, group {shown['NSpgid']}, pid {shown['Pid']}"


@check
def typing(_facts: Facts) -> Iterator[str]:
    """Hole 4: pushing characters into a terminal, or commanding the console."""
    for name, request in (("TIOCSTI", termios.TIOCSTI), ("TIOCLINUX", 0x541C)):
        try:
            fcntl.ioctl(-1 & 0x7FFFFFFF, request, b"\0")
        except OSError as error:
            if error.errno != errno.EPERM:
                yield name


@check
def masks(_facts: Facts) -> Iterator[str]:
    """Hole 5: what is masked shows nothing and takes nothing."""
    for path in MASKED:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if os.path.isdir(path):
                if os.listdir(path):
                    yield f"{path} is not empty"
                if not os.statvfs(path).f_flag & os.ST_RDONLY:
                    yield f"{path} can be written"
            elif os.path.exists(path):
                with open(path, "rb") as file:
                    if file.read(1):
                        yield f"{path} is not empty"


@check
def keyring(facts: Facts) -> Iterator[str]:
    """Hole 7: the session keyring of the host's user."""
    serial = _libc.syscall(ctypes.c_long(facts["numbers"]["keyctl"]), 0, ctypes.c_long(-3), 0)
    if serial > 0 and serial == facts["keyring"]:
        yield f"session keyring {serial}"


@check
def groups(_facts: Facts) -> Iterator[str]:
    """Hole 8: supplementary groups of the caller."""
    if os.getgroups():
        yield f"groups {os.getgroups()}"


@check
def control_group(_facts: Facts) -> Iterator[str]:
    """Hole 10: groups that are not those of its cgroup namespace, where it sees its own as the root."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        paths = [line.strip().split(":", 2)[1:] for line in file]
    yield from (f"{names or 'v2'} at {path}" for names, path in paths if path != "/")


@check
def namespaces(facts: Facts) -> Iterator[str]:
    """Hole 11, and section 4: namespaces that are the host's."""
    yield from (name for name, own in facts["namespaces"].items() if os.readlink(f"/proc/self/ns/{name}") == own)


@check
def working_directory(_facts: Facts) -> Iterator[str]:
    """Hole 15: a directory that is not in its root."""
    if os.getcwd() != "/" or not os.path.samestat(os.stat("."), os.stat("/")):
        yield f"in {os.getcwd()}"


@check
def descriptors(_facts: Facts) -> Iterator[str]:
    """Section 4: descriptors of the host."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{name}")
            if int(name) > 2:
                os.fstat(int(name))  # that of the listing itself is closed
                yield f"{name} is {path}"


@check
def environment(_facts: Facts) -> Iterator[str]:
    """Section 2, P7: variables of the caller. LC_CTYPE is this Python's own, by PEP 538."""
    with open("/proc/self/environ", "rb") as file:
        names = {pair.partition(b"=")[0].decode() for pair in file.read().split(b"\0") if pair}
    yield from sorted(names - ENVIRONMENT)


@check
def signals(_facts: Facts) -> Iterator[str]:
    """Section 2, P8: signals that are blocked, or ignored by others than this Python (SIGPIPE, SIGXFSZ)."""
    shown = fields()
    python = 1 << 12 | 1 << 24
    if int(shown["SigIgn"], 16) & ~python:
        yield f"ignored {shown['SigIgn']}"
    if int(shown["SigBlk"], 16):
        yield f"blocked {shown['SigBlk']}"


@check
def mode_mask(_facts: Facts) -> Iterator[str]:
    """Section 4: files that it makes have the usual mode."""
    if fields()["Umask"] != "0022":
        yield fields()["Umask"]


@check
def core_files(_facts: Facts) -> Iterator[str]:
    """Section 4: no memory of a program is written where the host's core_pattern says."""
    with open("/proc/self/limits", encoding="ascii") as file:
        soft = next(line.split()[4] for line in file if line.startswith("Max core file size"))
    if soft != "0":
        yield f"up to {soft}"


@check
def processes(_facts: Facts) -> Iterator[str]:
    """Section 4: processes of the host. Inside there are the first one and this one."""
    own = {1, os.getpid(), os.getppid()}
    others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    if others:
        yield f"pids {others}"


@check
def host_name(facts: Facts) -> Iterator[str]:
    """Section 4: the host's name."""
    if os.uname().nodename == facts["hostname"]:
        yield facts["hostname"]


def main() -> None:
    """Run all checks."""
    facts = json.loads(sys.argv[1])
    print(json.dumps({one.__name__: list(one(facts)) for one in CHECKS}))


if __name__ == "__main__":
    main()
