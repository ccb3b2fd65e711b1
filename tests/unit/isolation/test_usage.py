"""What a container uses, from files as each version of cgroups and /proc have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.isolation.net.traffic import parse_traffic, read_traffic
from haconiwa.isolation.usage import (
    parse_io_stat,
    parse_number,
    parse_process,
    parse_service_bytes,
    parse_words,
    read_usage,
    sum_processes,
)

V1_UNLIMITED = "9223372036854771712\n"
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0
  eth0:     100       2    0    0    0     0          0         0      200       1    0    0    0     0       0
\x1b[2J\u2028:1000 2    0    0    0     0          0         0     2000       1    0    0    0     0       0
"""


def make_group(parent: Path, name: str, **files: str) -> str:
    folder = parent / name
    folder.mkdir()
    (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
    for key, text in files.items():
        (folder / key.replace("__", ".")).write_text(text)
    return str(folder)


def test_version_2(tmp_path: Path) -> None:
    group = make_group(
        tmp_path,
        "web",
        cpu__stat="usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
        memory__current="4096\n",
        memory__max="8192\n",
        pids__current="3\n",
        pids__max="max\n",
        io__stat="8:0 rbytes=4096 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
    )
    usage = read_usage((group,), os.getpid())
    assert (usage.cpu_s, usage.memory, usage.memory_limit) == (1.5, 4096, 8192)
    assert (usage.pids, usage.pids_limit) == (3, None)
    assert (usage.read_bytes, usage.written_bytes) == (4097, 12)
    assert usage.of_processes == ()


def test_version_1_in_one_hierarchy_each(tmp_path: Path) -> None:
    groups = (
        make_group(tmp_path, "freezer", **{"freezer.state": "THAWED\n"}),
        make_group(tmp_path, "cpu", cpu__stat="nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
        make_group(tmp_path, "cpuacct", cpuacct__usage="2500000000\n"),
        make_group(tmp_path, "memory", **{"memory.usage_in_bytes": "4096\n", "memory.limit_in_bytes": V1_UNLIMITED}),
        make_group(tmp_path, "pids", pids__current="3\n", pids__max="16\n"),
        make_group(
            tmp_path,
            "blkio",
            **{
                "blkio.throttle.io_service_bytes": "Total 0\n",
                "blkio.throttle.io_service_bytes_recursive": "8:0 Read 7\n8:0 Write 8\n8:0 Sync 15\n8:0 Total 15\n"
                "253:0 Read 1\n253:0 Write 1\nTotal 17\n",
            },
        ),
    )
    usage = read_usage(groups, os.getpid())
    assert (usage.cpu_s, usage.memory, usage.memory_limit) == (2.5, 4096, None)
    assert (usage.pids, usage.pids_limit) == (3, 16)
    assert (usage.read_bytes, usage.written_bytes) == (8, 9)
    assert usage.of_processes == ()


def test_hybrid_counts_the_processor_in_version_2(tmp_path: Path) -> None:
    groups = (
        make_group(tmp_path, "unified", cpu__stat="usage_usec 1000000\n"),
        make_group(tmp_path, "memory", **{"memory.usage_in_bytes": "4096\n", "memory.limit_in_bytes": "8192\n"}),
    )
    usage = read_usage(groups, os.getpid())
    assert (usage.cpu_s, usage.memory, usage.memory_limit) == (1.0, 4096, 8192)
    assert usage.of_processes == ("pids", "io")
    assert usage.pids >= 1


def test_nothing_was_read_or_written_yet(tmp_path: Path) -> None:
    usage = read_usage((make_group(tmp_path, "web", io__stat=""),), os.getpid())
    assert (usage.read_bytes, usage.written_bytes) == (0, 0)
    assert "io" not in usage.of_processes


@pytest.mark.parametrize("group", ["empty", "gone"])
def test_without_a_group_that_counts_the_processes_are_added_up(tmp_path: Path, group: str) -> None:
    paths = (make_group(tmp_path, "empty"),) if group == "empty" else (str(tmp_path / "gone"),)
    usage = read_usage(paths, os.getpid())
    assert usage.of_processes == ("cpu", "memory", "pids", "io")
    assert usage.memory >= PAGE
    assert usage.pids >= 1
    assert usage.cpu_s > 0
    assert usage.memory_limit is None


def test_processes_that_have_ended_are_left_out() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert sum_processes([pid]).pids == 0
    assert sum_processes([pid, os.getpid()]).pids >= 1


def test_a_process_may_have_any_name() -> None:
    fields = ["S", *"1 1 1 0 -1 4194304 100 0 0 0".split(), "10", "20", "3", "4", *"20 0 5 0 1000 4096 7 9".split()]
    for name in ("sh", "a) R 9 9 (b", ")", "\n"):
        usage = parse_process(f"7 ({name}) {' '.join(fields)}")
        assert usage is not None
        assert usage.cpu_s == pytest.approx(37 * TICK_S)
        assert (usage.pids, usage.memory) == (5, 7 * PAGE)
    assert parse_process("") is None
    assert parse_process("7 (sh) S 1") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("0\n", 0), ("4096\n", 4096), ("max\n", None), (V1_UNLIMITED, None), ("-1\n", None), ("", None), ("²", None)],
)
def test_numbers_and_no_limit(text: str, number: int | None) -> None:
    assert parse_number(text) == number


@given(st.text() | st.text("0123456789:= \n", max_size=99) | st.text("Read Write rbytes= 8:01\n", max_size=99))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    number = parse_number(text)
    assert number is None or number >= 0
    assert all(value >= 0 for value in parse_words(text).values())
    assert all(value >= 0 for value in (*parse_io_stat(text), *parse_service_bytes(text)))
    assert parse_traffic(text).received_bytes >= 0


@given(st.dictionaries(st.from_regex(r"[0-9]+:[0-9]+", fullmatch=True), st.tuples(*[st.integers(0, 2**63)] * 2)))
def test_all_devices_count_in_both_versions(devices: dict[str, tuple[int, int]]) -> None:
    totals = (sum(read for read, _ in devices.values()), sum(written for _, written in devices.values()))
    v2 = "".join(f"{name} rbytes={read} wbytes={written} rios=1 wios=1\n" for name, (read, written) in devices.items())
    v1 = "".join(f"{name} Read {read}\n{name} Write {written}\n" for name, (read, written) in devices.items())
    assert parse_io_stat(v2) == totals
    assert parse_service_bytes(f"{v1}Total {sum(totals)}\n") == totals


def test_traffic_is_that_of_all_interfaces_but_the_loopback() -> None:
    traffic = parse_traffic(NET_DEV)
    assert (traffic.received_bytes, traffic.sent_bytes) == (1100, 2200)
    assert [interface.name for interface in traffic.interfaces] == ["lo", "eth0", "\x1b[2J\u2028"]
    assert traffic.interfaces[0].sent_bytes == 3193


def test_many_interfaces_are_counted_and_few_are_named() -> None:
    line = "d{}: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
    traffic = parse_traffic("".join(line.format(number) for number in range(1000)))
    assert (traffic.received_bytes, traffic.sent_bytes) == (1000, 2000)
    assert len(traffic.interfaces) == 64


def test_the_hosts_own_network_is_not_a_containers() -> None:
    assert read_traffic(os.getpid()) is None
