"""The same container described for runc and for haconiwa, seen from inside: docs/design/compared-with-runc.md."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from haconiwa.spec.model import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS
from tests.integration.box import CAPABILITIES, Box

pytestmark = pytest.mark.requires("root", "busybox", "runc")

SETTINGS = """
config.groups = [29, 77]
config.workdir = "/tmp"
config.environ["A"] = "b c"
config.hostname = "same"
config.oom_score_adj = 100
config.resource.set_limit("NOFILE", 100, 200)
config.resource.set_limit("CORE", 0)
config.add_mount_point("tmpfs", to="/tmp", fs="tmpfs", options="nosuid,nodev,size=64k")
config.add_mount_point("/usr/share", to="/mnt", readonly=True)
"""
SCRIPT = """
    cat /proc/self/status; echo ---; cat /proc/self/mountinfo; echo ---; cat /proc/self/limits; echo ---
    id; pwd; umask; cat /proc/self/oom_score_adj; hostname; tr '\\0' '\\n' < /proc/self/environ | sort
    cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo ---
    cd /dev; find . ! -path './pts/[0-9]*' ! -name . | sort | while read n; do stat -c '%n %F %a %u:%g %t:%T' $n; done
"""
NODES = [f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")]
"""The host's nodes, bound where a user namespace cannot make any."""
STATUS = "Umask Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs SigIgn SigBlk".split()
MOUNTS: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "nodev", "noexec"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755"]},
    {
        "destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "size=64k"]},
    {"destination": "/mnt", "type": "bind", "source": "/usr/share", "options": ["rbind", "ro", "nodev"]},
]  # fmt: skip


def description(box: Box, user: dict[str, Any], home: str, *, no_new_privs: bool = False) -> dict[str, Any]:
    """What `SETTINGS` say, in the form of the OCI runtime specification."""
    capabilities = [f"CAP_{name.upper()}" for name in CAPABILITIES]
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home}
    return {
        "ociVersion": "1.0.2",
        "hostname": "same",
        "root": {"path": str(box.root)},
        "process": {
            "user": {**user, "additionalGids": [29, 77]},
            "args": ["/bin/sh", "-c", SCRIPT],
            "cwd": "/tmp",
            "env": [f"{key}={value}" for key, value in {**environ, "container": "haconiwa", "A": "b c"}.items()],
            "capabilities": dict.fromkeys(("bounding", "permitted", "effective"), capabilities),
            "rlimits": [
                {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            ],
            "oomScoreAdj": 100,
            "noNewPrivileges": no_new_privs,
        },
        "mounts": [*MOUNTS],
        "linux": {
            "namespaces": [{"type": name} for name in ("mount", "ipc", "uts", "pid")],
            "maskedPaths": list(DEFAULT_MASKED_PATHS),
            "readonlyPaths": list(DEFAULT_READONLY_PATHS),
            "cgroupsPath": f"/runc-{box.name}",
        },
    }  # fmt: skip


class Runc:
    """The container of one description.

    Args:
        box: Whose folder it uses.
        content: Of its config.json.
    """

    def __init__(self, box: Box, content: dict[str, Any]) -> None:
        self._state = str(box.folder / "runc")
        self._name = box.name
        self._bundle = box.folder / "bundle"
        self._bundle.mkdir()
        (self._bundle / "config.json").write_text(json.dumps(content), encoding="utf-8")

    def __call__(self, command: str, *arguments: str) -> str:
        """The output of one of runc's commands."""
        argv = ["runc", "--root", self._state, command, *arguments]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self) -> list[str]:
        """What its command says, in parts."""
        return self("run", "--bundle", str(self._bundle), self._name).split("---\n")

    def attached(self, *argv: str) -> list[str]:
        """The same of a command that joins it while `sleep` is its first process."""
        argv_file = subprocess.DEVNULL
        start = ["runc", "--root", self._state, "run", "--detach", "--bundle", str(self._bundle), self._name]
        subprocess.run(start, stdin=argv_file, stdout=argv_file, stderr=argv_file, check=True, timeout=60)
        try:
            return self("exec", self._name, *argv).split("---\n")
        finally:
            self("delete", "--force", self._name)


def status(text: str) -> dict[str, str]:
    shown = {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in text.splitlines())}
    return {key: shown[key] for key in STATUS}


def options(text: str) -> dict[str, set[str]]:
    """What each mount is allowed, by mount point."""
    return {line.split()[4]: set(line.split()[5].split(",")) for line in text.splitlines()}


def compare(ours: list[str], theirs: list[str]) -> None:
    """All parts of what `SCRIPT` says."""
    assert status(ours[0]) == status(theirs[0])
    compare_mounts(options(ours[1]), options(theirs[1]))
    assert ours[2].splitlines() == theirs[2].splitlines()
    assert ours[3].splitlines() == theirs[3].splitlines()
    assert [line for line in ours[4].splitlines() if not line.startswith("./mqueue ")] == theirs[4].splitlines()
    assert ("Seccomp:\t2" in ours[0], "Seccomp:\t0" in theirs[0]) == (True, True)


def compare_mounts(ours: dict[str, set[str]], theirs: dict[str, set[str]]) -> None:
    """Ours may be stricter, where the page says so, and nowhere laxer."""
    assert ours.keys() == theirs.keys()
    for point, shown in ours.items():
        if point == "/":
            assert shown == theirs[point] | {"nodev"}
        elif point in DEFAULT_MASKED_PATHS or point in NODES:
            assert shown >= {"ro", "nosuid", "noexec"}
            assert shown >= theirs[point] - {"rw"}
        else:
            assert shown == theirs[point], point


ALICE = ({"uid": 1000, "gid": 1001}, "/home/alice")
ROOT = ({"uid": 0, "gid": 0}, "/root")


def test_an_ordinary_user_inside(box: Box) -> None:
    box.write(SETTINGS + 'config.uid = "alice"')
    compare(box.sh(SCRIPT).split("---\n"), Runc(box, description(box, *ALICE)).run())


def test_root_without_new_privileges(box: Box) -> None:
    box.write(SETTINGS + "config.no_new_privs = True")
    compare(box.sh(SCRIPT).split("---\n"), Runc(box, description(box, *ROOT, no_new_privs=True)).run())


def test_what_joins_later(box: Box) -> None:
    content = description(box, *ALICE)
    content["process"]["args"] = ["/bin/sleep", "1000"]
    content["process"]["rlimits"][0]["soft"] = 200  # as the hard one: Go raises its own, and runc 1.1 may hand that on
    theirs = Runc(box, content).attached("/bin/sh", "-c", SCRIPT)
    box.write(SETTINGS + 'config.uid = "alice"\nconfig.resource.set_limit("NOFILE", 200)')
    box.daemon()
    compare(box.attach("/bin/sh", "-c", SCRIPT).stdout.split("---\n"), theirs)
    box.stop()


def test_ids_of_their_own(box: Box) -> None:
    for path in (box.root, *box.root.rglob("*")):
        os.chown(path, 100_000, 100_000, follow_symlinks=False)
    content = description(box, *ROOT)
    content["linux"]["namespaces"] += [{"type": "user"}, {"type": "network"}]
    for kind in ("uidMappings", "gidMappings"):
        content["linux"][kind] = [{"containerID": 0, "hostID": 100_000, "size": 65536}]
    for name in ("bounding", "permitted", "effective"):
        content["process"]["capabilities"][name].append("CAP_AUDIT_READ")
    box.write(
        SETTINGS
        + """
config.namespace.unshare("net", "user")
config.namespace.set_uid_mapping(min=0, max=65536, offset=100000)
config.namespace.set_gid_mapping(min=0, max=65536, offset=100000)
"""
    )
    compare(box.sh(SCRIPT).split("---\n"), Runc(box, content).run())


GROUPS = """
config.mount_independent("cgroup")
config.cgroup["memory.limit_in_bytes"] = 64 << 20
config.cgroup["pids.max"] = 40
config.cgroup["cpu.shares"] = 512
config.cgroup["cpu.cfs_period_us"] = 50000
config.cgroup["cpu.cfs_quota_us"] = 20000
config.cgroup["cpuset.cpus"] = "0"
"""
LIMITS = """
    cd /sys/fs/cgroup
    for name in memory.limit_in_bytes memory.max pids.max cpu.shares cpu.weight cpu.cfs_period_us cpu.cfs_quota_us \\
        cpu.max cpuset.cpus devices.list; do
        find . -name $name | sort | while read file; do echo $name; sort $file; done
    done
"""


def test_limits_of_control_groups(box: Box) -> None:
    content = description(box, *ROOT)
    content["process"]["args"][2] = LIMITS
    content["linux"]["namespaces"].append({"type": "cgroup"})
    content["mounts"].append({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    })  # fmt: skip
    content["linux"]["resources"] = {
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 40},
        "cpu": {"shares": 512, "period": 50000, "quota": 20000, "cpus": "0"},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    box.write(SETTINGS + GROUPS)
    (theirs,) = Runc(box, content).run()
    assert box.sh(LIMITS) == theirs.replace("c 10:200 rwm\n", "")  # /dev/net/tun
