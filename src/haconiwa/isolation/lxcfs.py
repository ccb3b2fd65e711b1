"""The container's own cpuinfo, meminfo and the like, as the lxcfs daemon makes them from its control groups.

See: lxcfs(1).
"""

from __future__ import annotations

from haconiwa.spec.model import MountSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec

PROC_FILES = ("cpuinfo", "meminfo", "stat", "uptime", "diskstats", "swaps", "loadavg")
CPU_ONLINE = "/sys/devices/system/cpu/online"


def mounts(spec: ContainerSpec) -> list[MountSpec]:
    """Bind mounts over the files of the container's procfs and sysfs; what this lxcfs does not have is left out."""
    kinds = {mount.kind for mount in spec.mounts}
    paths = [f"/proc/{name}" for name in PROC_FILES] if "procfs" in kinds else []
    paths += [CPU_ONLINE] if "sysfs" in kinds else []
    return [
        MountSpec(
            kind="bind",
            source=f"{spec.lxcfs_root}{path}",
            destination=path,
            # Every lxcfs has this one: without it, nothing is mounted there.
            optional=path != "/proc/cpuinfo",
            recursive=False,
            where=spec.sources.get("lxcfs_root"),
        )
        for path in paths
    ]
