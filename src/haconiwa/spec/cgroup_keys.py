"""The files of control groups that a haco file may set, by name and by what they take.

The names of v2 are canonical. Those of v1 are accepted; ``cgroup_translate`` says what means the same.
See: cgroups(7), and admin-guide/cgroup-v2 and admin-guide/cgroup-v1 of the kernel's documentation.
"""

from __future__ import annotations

from haconiwa.spec import cgroup_values as kinds
from haconiwa.spec.values import Refused, show, string, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.cgroup_values import Lines, Parser


V2_KEYS: dict[str, Parser] = {
    "cpu.max": kinds.cpu_max,
    "cpu.max.burst": kinds.count(0),
    "cpu.weight": kinds.count(1, 10_000),
    "cpu.weight.nice": kinds.count(-20, 19),
    "cpu.idle": kinds.flag,
    "cpu.uclamp.min": kinds.anything,
    "cpu.uclamp.max": kinds.anything,
    "memory.max": kinds.size,
    "memory.high": kinds.size,
    "memory.low": kinds.size,
    "memory.min": kinds.size,
    "memory.swap.max": kinds.size,
    "memory.swap.high": kinds.size,
    "memory.zswap.max": kinds.size,
    "memory.zswap.writeback": kinds.flag,
    "memory.oom.group": kinds.flag,
    "pids.max": kinds.count(1, 4_194_304, unlimited=True),
    "cpuset.cpus": kinds.id_list,
    "cpuset.mems": kinds.id_list,
    "cpuset.cpus.exclusive": kinds.id_list,
    "cpuset.cpus.partition": kinds.words("member", "root", "isolated"),
    "io.max": kinds.io_max,
    "io.weight": kinds.io_weight,
    "io.bfq.weight": kinds.io_weight,
    "io.latency": kinds.anything,
    "rdma.max": kinds.anything,
    "misc.max": kinds.anything,
    "cgroup.max.depth": kinds.count(0, 2**31 - 1, unlimited=True),
    "cgroup.max.descendants": kinds.count(0, 2**31 - 1, unlimited=True),
}

V1_KEYS: dict[str, Parser] = {
    "cpu.shares": kinds.count(2, 262_144),
    "cpu.cfs_quota_us": kinds.count(1000, unlimited=True),
    "cpu.cfs_period_us": kinds.count(1000, 1_000_000),
    "cpu.cfs_burst_us": kinds.count(0),
    "cpu.rt_period_us": kinds.count(1),
    "cpu.rt_runtime_us": kinds.count(0, unlimited=True),
    "cpu.idle": kinds.flag,
    "memory.limit_in_bytes": kinds.size,
    "memory.soft_limit_in_bytes": kinds.size,
    "memory.memsw.limit_in_bytes": kinds.size,
    "memory.kmem.tcp.limit_in_bytes": kinds.size,
    "memory.swappiness": kinds.count(0, 200),
    "memory.oom_control": kinds.flag,
    "pids.max": V2_KEYS["pids.max"],
    "cpuset.cpus": kinds.id_list,
    "cpuset.mems": kinds.id_list,
    "cpuset.cpu_exclusive": kinds.flag,
    "cpuset.mem_exclusive": kinds.flag,
    "cpuset.mem_hardwall": kinds.flag,
    "cpuset.memory_migrate": kinds.flag,
    "cpuset.sched_load_balance": kinds.flag,
    "blkio.weight": kinds.count(10, 1000),
    "blkio.bfq.weight": kinds.count(1, 1000),
    "blkio.weight_device": kinds.weight_device,
    "blkio.throttle.read_bps_device": kinds.throttle,
    "blkio.throttle.write_bps_device": kinds.throttle,
    "blkio.throttle.read_iops_device": kinds.throttle,
    "blkio.throttle.write_iops_device": kinds.throttle,
    "devices.allow": kinds.device_rule,
    "devices.deny": kinds.device_rule,
    "net_cls.classid": kinds.anything,
    "net_prio.ifpriomap": kinds.anything,
}

_HUGETLB_ENDS = {1: (".limit_in_bytes", ".rsvd.limit_in_bytes"), 2: (".max", ".rsvd.max")}
_OURS = ("cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.type", "cgroup.subtree_control", "cgroup.controllers")
_FREEZER = ("freezer.state", "cgroup.freeze")
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


def controller(key: str) -> str:
    """The controller that a file belongs to: ``blkio`` of ``blkio.throttle.read_bps_device``."""
    return key.partition(".")[0]


def parser(key: str, version: int) -> Parser | None:
    """What checks a value of a known file of one version; None for a file that is not known."""
    if key.startswith("hugetlb.") and key.endswith(_HUGETLB_ENDS[version]) and key.count(".") < 4:
        return kinds.size
    return (V1_KEYS if version == 1 else V2_KEYS).get(key)


def key(value: object) -> str:
    """The name of a file: a controller, a dot and what is limited.

    Raises:
        Refused: It is no such name, or is used by haconiwa itself.
    """
    plain = string(value, "the name of a control group file")
    parts = plain.split(".")
    if len(plain) > 100 or len(parts) < 2 or not all(parts) or not _CHARACTERS.issuperset(plain):
        raise Refused(f'{show(plain)} is not the name of a control group file, such as "memory.max"')
    if plain in _FREEZER:
        raise Refused("a frozen container cannot start", f'a hook can freeze it: base.cgroup["{plain}"] = …')
    if plain in _OURS:
        raise Refused("is used by haconiwa itself")
    return plain


def value(name: str, given: object, version: int | None) -> Lines:
    """The lines to write for a setting.

    Args:
        name: From `key`.
        given: What the haco file says.
        version: Of a literal setting; None for one that is translated where needed, which has to be known.

    Raises:
        Refused: The name is unknown, or the value wrong.
    """
    if version is not None:
        return (parser(name, version) or kinds.anything)(given)
    parse = parser(name, 2) or parser(name, 1)
    if parse is None:
        hint = suggestion(name, [*V2_KEYS, *V1_KEYS]) or 'config.cgroup("v1")["…"] and ("v2") take any file of theirs'
        raise Refused("is not known", hint)
    return parse(given)
