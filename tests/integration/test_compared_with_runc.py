"""The same container described for runc and for haconiwa, seen from inside: docs/design/compared-with-runc.md."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from haconiwa.spec.model import DEFAULT_CAPABILITIES, DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS
from tests.integration.box import Box

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
    id; pwd; umask; cat /proc/self/oom_score_adj; hostname; tr '\\0' '\\n' < /proc/self/environ | sort; echo ---
    cd /dev; find . ! -path './pts/[0-9]*' ! -name . | sort | while read n; do stat -c '%n %F %a %u:%g %t:%T' $n; done
"""
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


def description(box: Box, user: dict[str, Any], home: str, *, no_new_privs: bool) -> dict[str, Any]:
    """What `SETTINGS` say, in the form of the OCI runtime specification."""
    capabilities = [f"CAP_{name.upper()}" for name in DEFAULT_CAPABILITIES]
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
        "mounts": MOUNTS,
        "linux": {
            "namespaces": [{"type": name} for name in ("mount", "ipc", "uts", "pid")],
            "maskedPaths": list(DEFAULT_MASKED_PATHS),
            "readonlyPaths": list(DEFAULT_READONLY_PATHS),
            "cgroupsPath": f"/runc-{box.name}",
        },
    }  # fmt: skip


def by_runc(box: Box, content: dict[str, Any]) -> list[str]:
    bundle = box.folder / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps(content), encoding="utf-8")
    argv = ["runc", "--root", str(box.folder / "runc"), "run", "--bundle", str(bundle), box.name]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("---\n")


def status(text: str) -> dict[str, str]:
    shown = {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in text.splitlines())}
    return {key: shown[key] for key in STATUS}


def options(text: str) -> dict[str, set[str]]:
    """What each mount is allowed, by mount point."""
    return {line.split()[4]: set(line.split()[5].split(",")) for line in text.splitlines()}


@pytest.mark.parametrize(
    ("settings", "user", "home"),
    [
        ('config.uid = "alice"', {"uid": 1000, "gid": 1001}, "/home/alice"),
        ("config.no_new_privs = True", {"uid": 0, "gid": 0}, "/root"),
    ],
    ids=["user", "root"],
)
def test_inside_they_are_alike(box: Box, settings: str, user: dict[str, Any], home: str) -> None:
    theirs = by_runc(box, description(box, user, home, no_new_privs="no_new_privs" in settings))
    box.write(SETTINGS + settings)
    ours = box.sh(SCRIPT).split("---\n")
    assert status(ours[0]) == status(theirs[0])
    compare_mounts(options(ours[1]), options(theirs[1]))
    assert ours[2:4] == theirs[2:4]
    assert [line for line in ours[4].splitlines() if not line.startswith("./mqueue ")] == theirs[4].splitlines()
    assert ("Seccomp:\t2" in ours[0], "Seccomp:\t0" in theirs[0]) == (True, True)


def compare_mounts(ours: dict[str, set[str]], theirs: dict[str, set[str]]) -> None:
    """Ours may be stricter, where the page says so, and nowhere laxer."""
    assert ours.keys() == theirs.keys()
    for point, shown in ours.items():
        if point == "/":
            assert shown == theirs[point] | {"nodev"}
        elif point in DEFAULT_MASKED_PATHS:
            assert shown >= {"ro", "nosuid", "noexec"}
            assert shown >= theirs[point] - {"rw"}
        else:
            assert shown == theirs[point], point
