"""Names of network namespaces, as ``ip netns`` knows them: files in /run/netns that the namespaces are mounted on."""

from __future__ import annotations

import os

from haconiwa.errors import HostError
from haconiwa.kernel.mount import MNT, MS, mount, umount2

_FOLDER = "/run/netns"


def refuse_taken(name: str) -> None:
    """Refuse a name that somebody else has given.

    Raises:
        HostError: It exists.
    """
    if os.path.lexists(f"{_FOLDER}/{name}"):
        raise HostError(
            f'cannot name the network namespace "{name}"',
            why="there is one",
            hint="to enter it: namespace.use_netns; to remove it: ip netns delete",
        )


def give_name(name: str, pid: int) -> None:
    """Give the network namespace of a process a name.

    Raises:
        OSError: EEXIST, or as mount(2).
    """
    os.makedirs(_FOLDER, mode=0o755, exist_ok=True)
    path = f"{_FOLDER}/{name}"
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        mount(f"/proc/{pid}/ns/net", path, None, MS.BIND)
    except BaseException:
        os.unlink(path)
        raise


def remove_name(name: str) -> None:
    """Take a name away; the namespace itself ends with its last process."""
    path = f"{_FOLDER}/{name}"
    try:
        umount2(path, MNT.DETACH)
    except OSError:
        pass  # the name was not given yet, or was taken away by hand
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def is_named(name: str) -> bool:
    """Whether a network namespace has this name."""
    return os.path.exists(f"{_FOLDER}/{name}")


def in_use(name: str) -> bool:
    """Whether a process of this machine is in a named network namespace."""
    wanted = os.stat(f"{_FOLDER}/{name}")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.path.samestat(os.stat(f"/proc/{entry}/ns/net"), wanted):
                    return True
            except OSError:
                continue
    return False
