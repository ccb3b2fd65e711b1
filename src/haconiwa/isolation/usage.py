"""What a container uses of the machine: processor time, memory, processes, bytes read and written.

The kernel counts for a group with the controller, everything in it and whatever has ended there. Where a container has
no group of one, since nothing of that kind is limited, the counters of its processes are added up: that leaves out
what ended without being waited for, and counts memory that processes share for each of them.
See: the kernel's admin-guide/cgroup-v2.rst and cgroup-v1, proc_pid_stat(5), proc_pid_io(5).
"""

from __future__ import annotations

import os

from haconiwa.isolation.groups import ALMOST_UNLIMITED, all_member_pids
from haconiwa.spec.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK, _LARGEST = 1 << 14, 1 << 20


class Usage(Record):
    """Totals since the container's start, and what it has now.

    Attributes:
        cpu_s: Seconds of processor time.
        memory: Bytes.
        memory_limit: Bytes; None without one.
        pids: Processes and threads.
        pids_limit: None without one.
        read_bytes: From block devices.
        written_bytes: To block devices.
        of_processes: Which of ``cpu memory pids io`` no group counts, so that they were added up.
    """

    cpu_s: float
    memory: int
    memory_limit: int | None = None
    pids: int
    pids_limit: int | None = None
    read_bytes: int
    written_bytes: int
    of_processes: tuple[str, ...] = ()


NOTHING = Usage(cpu_s=0.0, memory=0, pids=0, read_bytes=0, written_bytes=0)


def read_usage(paths: tuple[str, ...], pid: int) -> Usage:
    """What a container uses.

    Args:
        paths: Its groups, on whichever hierarchies.
        pid: Its first process as this one sees it; counts alone where there is no group.
    """
    cpu_s, io = _cpu(paths), _io(paths)
    memory = _number(paths, "memory.current", "memory.usage_in_bytes")
    pids = _number(paths, "pids.current")
    counted = {"cpu": cpu_s, "memory": memory, "pids": pids, "io": io}
    missing = tuple(name for name, value in counted.items() if value is None)
    summed = sum_processes(all_member_pids(paths) or [pid]) if missing else NOTHING
    read_bytes, written_bytes = io or (summed.read_bytes, summed.written_bytes)
    return Usage(
        cpu_s=summed.cpu_s if cpu_s is None else cpu_s,
        memory=summed.memory if memory is None else memory,
        memory_limit=_number(paths, "memory.max", "memory.limit_in_bytes"),
        pids=summed.pids if pids is None else pids,
        pids_limit=_number(paths, "pids.max"),
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        of_processes=missing,
    )


def _texts(paths: tuple[str, ...], *names: str) -> Iterator[str]:
    """The contents of the files of those names, in that order."""
    for name in names:
        for path in paths:
            text = _read(f"{path}/{name}")
            if text:
                yield text


def _read(path: str) -> str:
    """The beginning of a file of the kernel's; nothing when it is not there or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        content = b""
        while len(content) < _LARGEST and (chunk := os.read(fd, _CHUNK)):
            content += chunk
        return content.decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _number(paths: tuple[str, ...], *names: str) -> int | None:
    return next((parse_number(text) for text in _texts(paths, *names)), None)


def parse_number(text: str) -> int | None:
    """The number in a file of a group; None where it says that there is no limit, as each version does."""
    word = text.strip()
    if not (word.isascii() and word.isdigit()) or len(word) > len(str(ALMOST_UNLIMITED)):
        return None
    return int(word) if int(word) < ALMOST_UNLIMITED else None


def _cpu(paths: tuple[str, ...]) -> float | None:
    """A group of v2 counts with and without the controller; the file of that name in v1 does not."""
    for text in _texts(paths, "cpu.stat"):
        microseconds = parse_words(text).get("usage_usec")
        if microseconds is not None:
            return microseconds / 1e6
    nanoseconds = _number(paths, "cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def parse_words(text: str) -> dict[str, int]:
    """The lines ``WORD NUMBER`` of a file."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isascii() and pair[1].isdigit()}


def _io(paths: tuple[str, ...]) -> tuple[int, int] | None:
    names = ("io.stat", "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes")
    for name in names:
        for path in paths:
            if os.path.exists(f"{path}/{name}"):  # it is empty before anything was read or written
                text = _read(f"{path}/{name}")
                return parse_io_stat(text) if name == "io.stat" else parse_service_bytes(text)
    return None


def parse_io_stat(text: str) -> tuple[int, int]:
    """Bytes read and written, of ``8:0 rbytes=4096 wbytes=0 …`` of v2, for all devices."""
    words = (word.partition("=") for line in text.splitlines() for word in line.split()[1:])
    pairs = [(key, int(value)) for key, _equals, value in words if value.isascii() and value.isdigit()]
    read, written = (sum(value for key, value in pairs if key == name) for name in ("rbytes", "wbytes"))
    return read, written


def parse_service_bytes(text: str) -> tuple[int, int]:
    """Bytes read and written, of ``8:0 Read 4096`` of v1, for all devices."""
    lines = [line.split() for line in text.splitlines()]
    counts = [(fields[1], int(fields[2])) for fields in lines if len(fields) == 3 and fields[2].isdecimal()]
    read, written = (sum(count for word, count in counts if word == name) for name in ("Read", "Write"))
    return read, written


def sum_processes(pids: list[int]) -> Usage:
    """What some processes use together, by their own counters; those that have ended meanwhile are left out."""
    found = [usage for pid in pids if (usage := _of_process(pid))]
    return Usage(
        cpu_s=sum(one.cpu_s for one in found),
        memory=sum(one.memory for one in found),
        pids=sum(one.pids for one in found),
        read_bytes=sum(one.read_bytes for one in found),
        written_bytes=sum(one.written_bytes for one in found),
    )


def _of_process(pid: int) -> Usage | None:
    usage = parse_process(_read(f"/proc/{pid}/stat"))
    if usage is None:
        return None
    io = parse_words(_read(f"/proc/{pid}/io").replace(":", " "))
    return replace(usage, read_bytes=io.get("read_bytes", 0), written_bytes=io.get("write_bytes", 0))


def parse_process(stat: str) -> Usage | None:
    """What /proc/PID/stat tells: processor time with that of children waited for, resident memory, threads.

    The second field is the name in parentheses, which the process may make anything.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 22:
        return None
    return replace(
        NOTHING,
        cpu_s=sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"),
        memory=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        pids=int(fields[17]),
    )
