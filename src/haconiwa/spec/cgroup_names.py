"""The names of control group files that an editor completes; only the type checkers load this.

A test holds them to `cgroup_keys`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

V2Key = Literal[
    "cpu.max", "cpu.max.burst", "cpu.weight", "cpu.weight.nice", "cpu.idle", "cpu.uclamp.min", "cpu.uclamp.max",
    "memory.max", "memory.high", "memory.low", "memory.min", "memory.swap.max", "memory.swap.high",
    "memory.zswap.max", "memory.zswap.writeback", "memory.oom.group", "pids.max", "cpuset.cpus", "cpuset.mems",
    "cpuset.cpus.exclusive", "cpuset.cpus.partition", "io.max", "io.weight", "io.bfq.weight", "io.latency",
    "rdma.max", "misc.max", "cgroup.max.depth", "cgroup.max.descendants",
]  # fmt: skip

V1Key = Literal[
    "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.rt_period_us",
    "cpu.rt_runtime_us", "cpu.idle", "memory.limit_in_bytes", "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes", "memory.swappiness", "memory.oom_control",
    "pids.max", "cpuset.cpus", "cpuset.mems", "cpuset.cpu_exclusive", "cpuset.mem_exclusive", "cpuset.mem_hardwall",
    "cpuset.memory_migrate", "cpuset.sched_load_balance", "blkio.weight", "blkio.bfq.weight", "blkio.weight_device",
    "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device", "devices.allow", "devices.deny", "net_cls.classid", "net_prio.ifpriomap",
]  # fmt: skip

CgroupKey: TypeAlias = V2Key | V1Key
