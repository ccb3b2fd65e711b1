"""What the files of one cgroup version are called, and take, in the other.

Both directions take all settings of a container, because some files of one version are several of the other, and give
what to write by file, with the settings it comes from. See ``docs/cgroups.md`` for the table.
"""

from __future__ import annotations

from haconiwa.spec.cgroup_values import DEFAULT_PERIOD_US, IO_LIMITS, LARGEST, MAX
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haconiwa.spec.cgroup_values import Lines

    Given = Mapping[str, Lines]
    Rule = Callable[[str, Given], "Translated"]


class Translated(Record):
    """One file of the other version.

    Attributes:
        key: Its name.
        lines: What to write.
        sources: The settings it comes from.
    """

    key: str
    lines: Lines
    sources: tuple[str, ...]


class Untranslatable(Exception):
    """A setting means nothing in the other version, or not without another one."""


SAME_SIZE = {
    "memory.max": "memory.limit_in_bytes",
    "memory.low": "memory.soft_limit_in_bytes",
}
"""Files of v2 and v1 that take the same size."""

SAME = {**SAME_SIZE, "cpu.max.burst": "cpu.cfs_burst_us"}
UNCHANGED = ("cpu.idle", "cpuset.cpus", "cpuset.mems", "pids.max")
"""Files that have one name in both versions."""

NEAREST_IN_V1 = {"memory.high": "memory.soft_limit_in_bytes"}
"""Files of v2 with the file of v1 that comes near, though it does less: see the table in the documentation."""

THROTTLES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}

LARGEST_SHARES = 262_144
LARGEST_WEIGHT = 10_000


def shares_to_weight(shares: int) -> int:
    """cpu.shares as cpu.weight, as runc does since 1.3.2 and crun since 1.23.

    A quadratic function of the logarithms through the smallest, the default and the largest values of both: 2 and 1,
    1024 and 100, 262144 and 10000. The linear one that was used before made 39 of the default.
    """
    from math import ceil, log2

    if shares <= 2 or shares >= LARGEST_SHARES:
        return 1 if shares <= 2 else LARGEST_WEIGHT
    doublings = log2(shares)
    return ceil(10 ** ((doublings**2 + 125 * doublings) / 612 - 7 / 34))


def weight_to_shares(weight: int) -> int:
    """cpu.weight as cpu.shares: the largest value that `shares_to_weight` turns back into the same weight."""
    from math import log10, sqrt

    if weight <= 1 or weight >= LARGEST_WEIGHT:
        return 2 if weight <= 1 else LARGEST_SHARES
    doublings = (sqrt(125**2 + 4 * 612 * (log10(weight) + 7 / 34)) - 125) / 2
    # Rounding errors shall not make 1023 of 1024.
    return int(2**doublings + 1e-6)


def block_weight_to_io(weight: int) -> int:
    """blkio.weight, 10 to 1000, as io.weight, 1 to 10000, as runc does."""
    return 1 + (weight - 10) * 9999 // 990


def io_weight_to_block(weight: int) -> int:
    """io.weight as blkio.weight: turns the result of `block_weight_to_io` back into what it came from."""
    return 10 + -(-(weight - 1) * 990 // 9999)


# ------------------------------------------------------------------------------------------------------- from v1 to v2


def _quota_to_max(_key: str, given: Given) -> Translated:
    names = tuple(name for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us") if name in given)
    quota = given.get("cpu.cfs_quota_us", (MAX,))[0]
    period = given.get("cpu.cfs_period_us", (str(DEFAULT_PERIOD_US),))[0]
    return Translated(key="cpu.max", lines=(f"{quota} {period}",), sources=names)


def _shares_to_weight(key: str, given: Given) -> Translated:
    return Translated(key="cpu.weight", lines=(str(shares_to_weight(int(given[key][0]))),), sources=(key,))


def _memsw_to_swap(key: str, given: Given) -> Translated:
    """v1 limits memory and swap together, v2 swap alone."""
    total = given[key][0]
    if total == MAX:
        return Translated(key="memory.swap.max", lines=(MAX,), sources=(key,))
    memory_key = "memory.limit_in_bytes" if "memory.limit_in_bytes" in given else "memory.max"
    memory = given.get(memory_key, (MAX,))[0]
    if memory == MAX:
        raise Untranslatable("it limits memory and swap together, so it needs memory.max")
    if int(total) < int(memory):
        raise Untranslatable(f"it is below {memory_key}")
    return Translated(key="memory.swap.max", lines=(str(int(total) - int(memory)),), sources=(key, memory_key))


def _throttles_to_io_max(_key: str, given: Given) -> Translated:
    devices: dict[str, dict[str, str]] = {}
    names = [name for name in THROTTLES.values() if name in given]
    for word, name in THROTTLES.items():
        for line in given.get(name, ()):
            device, limit = line.split()
            devices.setdefault(device, {})[word] = limit
    lines = tuple(
        f"{device} {' '.join(f'{word}={limits[word]}' for word in IO_LIMITS if word in limits)}"
        for device, limits in devices.items()
    )
    return Translated(key="io.max", lines=lines, sources=tuple(names))


def _block_weights_to_io(_key: str, given: Given) -> Translated:
    names = [name for name in ("blkio.weight", "blkio.bfq.weight", "blkio.weight_device") if name in given]
    lines = []
    for name in names:
        for line in given[name]:
            subject, _, weight = line.rpartition(" ")
            lines.append(f"{subject or 'default'} {block_weight_to_io(max(10, int(weight)))}")
    return Translated(key="io.weight", lines=tuple(lines), sources=tuple(names))


def _renamed(other: str) -> Rule:
    return lambda key, given: Translated(key=other, lines=given[key], sources=(key,))


TO_V2: dict[str, Rule] = {
    **{v1: _renamed(v2) for v2, v1 in SAME.items()},
    **{key: _renamed(key) for key in UNCHANGED},
    **dict.fromkeys(THROTTLES.values(), _throttles_to_io_max),
    **dict.fromkeys(("blkio.weight", "blkio.bfq.weight", "blkio.weight_device"), _block_weights_to_io),
    "cpu.cfs_quota_us": _quota_to_max,
    "cpu.cfs_period_us": _quota_to_max,
    "cpu.shares": _shares_to_weight,
    "memory.memsw.limit_in_bytes": _memsw_to_swap,
}
"""By the name of a v1 file what makes the v2 one of it."""


# ------------------------------------------------------------------------------------------------------- from v2 to v1


def _max_to_quota(key: str, given: Given) -> list[Translated]:
    quota, period = given[key][0].split()
    return [
        Translated(key="cpu.cfs_period_us", lines=(period,), sources=(key,)),
        Translated(key="cpu.cfs_quota_us", lines=(quota,), sources=(key,)),
    ]


def _weight_to_shares(key: str, given: Given) -> list[Translated]:
    return [Translated(key="cpu.shares", lines=(str(weight_to_shares(int(given[key][0]))),), sources=(key,))]


def _swap_to_memsw(key: str, given: Given) -> list[Translated]:
    swap = given[key][0]
    memory_key = "memory.max" if "memory.max" in given else "memory.limit_in_bytes"
    memory = given.get(memory_key, (MAX,))[0]
    if swap != MAX and memory == MAX:
        raise Untranslatable("v1 limits memory and swap together, so it needs memory.max")
    total = MAX if swap == MAX else str(min(int(swap) + int(memory), LARGEST))
    sources = (key,) if swap == MAX else (key, memory_key)
    return [Translated(key="memory.memsw.limit_in_bytes", lines=(total,), sources=sources)]


def _io_max_to_throttles(key: str, given: Given) -> list[Translated]:
    found: dict[str, list[str]] = {}
    for line in given[key]:
        device, *pairs = line.split()
        for pair in pairs:
            word, _, limit = pair.partition("=")
            found.setdefault(THROTTLES[word], []).append(f"{device} {limit}")
    return [Translated(key=name, lines=tuple(lines), sources=(key,)) for name, lines in found.items()]


def _io_weights_to_block(key: str, given: Given) -> list[Translated]:
    found: dict[str, list[str]] = {}
    for line in given[key]:
        subject, weight = line.split()
        shown = str(io_weight_to_block(int(weight)))
        if subject == "default":
            found.setdefault("blkio.weight", []).append(shown)
        else:
            found.setdefault("blkio.weight_device", []).append(f"{subject} {shown}")
    return [Translated(key=name, lines=tuple(lines), sources=(key,)) for name, lines in found.items()]


def _renamed_one(other: str) -> Callable[[str, Given], list[Translated]]:
    return lambda key, given: [Translated(key=other, lines=given[key], sources=(key,))]


TO_V1: dict[str, Callable[[str, Given], list[Translated]]] = {
    **{v2: _renamed_one(v1) for v2, v1 in {**SAME, **NEAREST_IN_V1}.items()},
    **{key: _renamed_one(key) for key in UNCHANGED},
    "cpu.max": _max_to_quota,
    "cpu.weight": _weight_to_shares,
    "memory.swap.max": _swap_to_memsw,
    "io.max": _io_max_to_throttles,
    "io.weight": _io_weights_to_block,
}
"""By the name of a v2 file what makes the v1 ones of it."""


def translate(key: str, given: Given, version: int) -> list[Translated]:
    """The files of the other version for one setting.

    Args:
        key: The setting.
        given: All settings of the container, by name.
        version: Whose files are wanted: 1 or 2.

    Raises:
        Untranslatable: There is nothing like it, or a setting it needs is missing.
    """
    if key.startswith("hugetlb."):
        return [Translated(key=_huge_pages(key, version), lines=given[key], sources=(key,))]
    if version == 1 and key in TO_V1:
        return TO_V1[key](key, given)
    if version == 2 and key in TO_V2:
        return [TO_V2[key](key, given)]
    raise Untranslatable("it has nothing like it")


def _huge_pages(key: str, version: int) -> str:
    return key.replace(".max", ".limit_in_bytes") if version == 1 else key.replace(".limit_in_bytes", ".max")
