"""The tools that can start a container, and the command that starts the same one with each.

All make the namespaces mount, pid, ipc, uts, net and cgroup and mount proc, sys and dev, but for what the notes say.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.fixtures import Fixtures

_UNSHARE = "--mount --pid --fork --ipc --uts --net --cgroup --mount-proc"
_BWRAP = "--unshare-pid --unshare-ipc --unshare-uts --unshare-net --unshare-cgroup"


class Peer(NamedTuple):
    """One row of the table.

    Attributes:
        name: What the row is called.
        program: What must be installed; empty for our own.
        argv: The command that starts the container, from the fixtures and a name that no other run had.
        note: What it does not do, or does differently.
    """

    name: str
    program: str
    argv: Callable[[Fixtures, str], list[str]]
    note: str = ""


PEERS = (
    Peer("haconiwa", "", lambda f, _: [f.haconiwa, "start", f.haco, "--", "/bin/true"]),
    Peer(
        "haconiwa-unconfined",
        "",
        lambda f, _: [f.haconiwa, "start", f.unconfined_haco, "--", "/bin/true"],
        "without seccomp filters",
    ),
    Peer(
        "haconiwa-limited",
        "",
        lambda f, _: [f.haconiwa, "start", f.limited_haco, "--", "/bin/true"],
        "with limits of five cgroup controllers",
    ),
    Peer(
        "haconiwa-net",
        "nft",
        lambda f, _: [f.haconiwa, "start", f.network_haco, "--", "/bin/true"],
        "on a bridge that is there, with addresses, names and translation",
    ),
    Peer("runc", "runc", lambda f, name: ["runc", "run", "--bundle", f.bundle, name], "without seccomp filters"),
    Peer(
        "runc-filtered",
        "runc",
        lambda f, name: ["runc", "run", "--bundle", f.filtered_bundle, name],
        "with the same seccomp profile as haconiwa",
    ),
    Peer("crun", "crun", lambda f, name: ["crun", "run", "--bundle", f.bundle, name], "without seccomp filters"),
    Peer(
        "crun-filtered",
        "crun",
        lambda f, name: ["crun", "run", "--bundle", f.filtered_bundle, name],
        "with the same seccomp profile as haconiwa",
    ),
    Peer(
        "lxc-execute",
        "lxc-execute",
        lambda f, name: ["lxc-execute", "-P", f.lxc_path, "-n", name, "-f", f.lxc_config, "--", "/bin/true"],
        "with its own init as pid 1",
    ),
    Peer(
        "nspawn",
        "systemd-nspawn",
        lambda f, name: [
            *("systemd-nspawn", "--quiet", f"--directory={f.root}", f"--machine={name}", "--private-network"),
            *("--register=no", "--keep-unit", "/bin/true"),
        ],
    ),
    Peer(
        "podman",
        "podman",
        lambda f, name: [
            *("podman", "--cgroup-manager=cgroupfs", "run", "--rm", "--network=none", f"--name={name}"),
            *("--ulimit=host", "--rootfs", f.root, "/bin/true"),
        ],
    ),
    Peer(
        "bwrap",
        "bwrap",
        lambda f, _: [
            *("bwrap", *_BWRAP.split(), "--bind", f.root, "/", "--proc", "/proc", "--dev", "/dev"),
            *("--ro-bind", "/sys", "/sys", "/bin/true"),
        ],
        "no cgroup, no state",
    ),
    Peer(
        "unshare",
        "unshare",
        lambda f, _: ["unshare", *_UNSHARE.split(), "chroot", f.root, "/bin/true"],
        "namespaces and proc only",
    ),
)


def installed(names: list[str]) -> Iterator[Peer]:
    """The peers that this machine has.

    Args:
        names: Only these; all when it is empty.
    """
    for peer in PEERS:
        if (not names or peer.name in names) and (not peer.program or shutil.which(peer.program)):
            yield peer
