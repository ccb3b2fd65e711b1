"""What a test may ask of the machine, one word each, and how it is found out.

Used by the marker ``requires`` and by scripts/setup, so nothing outside the standard library is imported here.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import struct
import subprocess
from collections.abc import Callable

PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "apparmor_parser": ("apparmor_parser", ("apparmor",)),
    "bindfs": ("bindfs", ("bindfs",)),
    "busybox": ("busybox", ("busybox-static",)),
    "mkfs.btrfs": ("mkfs.btrfs", ("btrfs-progs",)),
    "mkfs.xfs": ("mkfs.xfs", ("xfsprogs",)),
    "crun": ("crun", ("crun",)),
    "dnsmasq": ("dnsmasq", ("dnsmasq-base",)),
    "dot": ("dot", ("graphviz",)),
    "debootstrap": ("debootstrap", ("debootstrap",)),
    "faketime": ("faketime", ("faketime",)),
    "gcc": ("gcc", ("gcc", "libc6-dev")),
    "git": ("git", ("git",)),
    "ip": ("ip", ("iproute2",)),
    "journalctl": ("journalctl", ("systemd",)),
    "bzip2": ("bzip2", ("bzip2",)),
    "kmod": ("depmod", ("kmod",)),
    "nft": ("nft", ("nftables",)),
    "lxc": ("lxc-create", ("lxc", "lxc-templates")),
    "podman": ("podman", ("podman",)),
    "ps": ("ps", ("procps",)),
    "mksquashfs": ("mksquashfs", ("squashfs-tools",)),
    "mmdebstrap": ("mmdebstrap", ("mmdebstrap",)),
    "qemu": ("qemu-system-x86_64", ("qemu-system-x86", "qemu-system-common")),
    "registry": ("docker-registry", ("docker-registry",)),
    "rsync": ("rsync", ("rsync",)),
    "runc": ("runc", ("runc",)),
    "setpriv": ("setpriv", ("util-linux",)),
    "skopeo": ("skopeo", ("skopeo",)),
    "strace": ("strace", ("strace",)),
    "systemd-analyze": ("systemd-analyze", ("systemd",)),
    "uidmap": ("newuidmap", ("uidmap",)),
    "uml": ("linux.uml", ("user-mode-linux",)),
    "xz": ("xz", ("xz-utils",)),
    "zstd": ("zstd", ("zstd",)),
}
"""Words that stand for a program: its name, and the Debian packages that bring it."""

HOST_WORDS = frozenset({
    "apparmor", "binfmt_misc", "btrfs", "cgroup1", "cgroup2", "cgroup_bpf", "fuse", "idmapped_tmpfs", "landlock",
    "landlock_ports", "sys_resource", "systemd", "xfs",
})  # fmt: skip
"""Words for what no package can bring: a test that lacks one is skipped even where nothing else may be."""

_LANDLOCK_CREATE_RULESET = 444  # on every machine


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def _unshares(option: str) -> bool:
    return _succeeds("unshare", option, "true")


def _mounted_at(path: str, fstype: str) -> bool:
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        return any(line.split()[1:3] == [path, fstype] for line in mounts)


def _mounts_files(fstype: str) -> bool:
    """Whether a file can be mounted as a file system of a type."""
    with open("/proc/filesystems", encoding="ascii") as types:
        known = any(line.split()[-1] == fstype for line in types)
    return known and _succeeds("losetup", "--find")


def _linux() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


def _has_cgroup1() -> bool:
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        return any(line.split()[2] == "cgroup" for line in mounts)


def cgroup2_mounts() -> list[str]:
    """Where hierarchies of cgroup v2 are mounted, without those below another mount."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        points = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    return [point for point in points if os.path.exists(f"{point}/cgroup.procs")]


def _has_cgroup_bpf() -> bool:
    """Whether the kernel takes a program for the devices of a group, and there is a v2 hierarchy with groups."""
    number = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
    if number is None or not cgroup2_mounts():
        return False
    program = ctypes.create_string_buffer(bytes.fromhex("b7000000010000009500000000000000"), 16)
    words = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = struct.pack("=IIQQ24x", 15, 2, ctypes.addressof(program), ctypes.addressof(words))
    fd: int = ctypes.CDLL(None).syscall(number, 5, attributes, len(attributes))
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _has_capability(number: int) -> bool:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> number & 1)


def _has_apparmor() -> bool:
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as enabled:
            return enabled.read().strip() == "Y"
    except OSError:
        return False


def _landlock_version() -> int:
    ask_version = 1
    return int(ctypes.CDLL(None).syscall(_LANDLOCK_CREATE_RULESET, None, 0, ask_version))


FEATURES: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0 and _unshares("--mount"),
    "userns": lambda: _succeeds("unshare", "--user", "--map-root-user", "true"),
    "binfmt_misc": lambda: _succeeds("unshare", "-Urm", "mount", "-t", "binfmt_misc", "x", "/mnt"),
    "btrfs": lambda: _mounts_files("btrfs"),
    "xfs": lambda: _mounts_files("xfs"),
    "fuse": lambda: os.path.exists("/dev/fuse"),
    "netns": lambda: _unshares("--net"),
    "idmapped_tmpfs": lambda: _linux() >= (6, 3),
    "bridge": lambda: _succeeds("unshare", "--net", "ip", "link", "add", "type", "bridge"),
    "cgroup1": _has_cgroup1,
    "cgroup_bpf": _has_cgroup_bpf,
    "cgroup2": lambda: _mounted_at("/sys/fs/cgroup", "cgroup2"),
    "apparmor": _has_apparmor,
    "landlock": lambda: _landlock_version() > 0,
    "landlock_ports": lambda: _landlock_version() >= 4,
    "sys_resource": lambda: _has_capability(24),
    "systemd": lambda: os.path.isdir("/run/systemd/system"),  # as sd_booted(3)
}
"""Words that stand for a right or a feature of the kernel: a probe that is true where it is there."""


@functools.cache
def has(word: str) -> bool:
    """Whether this machine has what a word stands for.

    Raises:
        KeyError: For a word that is neither in `PROGRAMS` nor in `FEATURES`.
    """
    if word in PROGRAMS:
        return shutil.which(PROGRAMS[word][0]) is not None
    return FEATURES[word]()


def packages() -> list[str]:
    """The Debian packages of the programs that this machine lacks."""
    return sorted({package for word, (_, names) in PROGRAMS.items() if not has(word) for package in names})
