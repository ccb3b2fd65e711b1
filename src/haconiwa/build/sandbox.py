"""A root for a program that reads what may be hostile: the host's /usr, read-only, and one directory to write to.

Runs in: a helper with a mount namespace of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from haconiwa.host.usr import shared_links, shared_paths
from haconiwa.isolation.trees import attach, clone_tree
from haconiwa.kernel.capabilities import capbset_drop, last_cap, to_mask
from haconiwa.kernel.mount import AT, MNT, MOUNT_ATTR, MS, mount, mount_setattr, pivot_root, umount2
from haconiwa.kernel.namespaces import CLONE, unshare
from haconiwa.kernel.process import set_no_new_privs

_HARMLESS = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV
_READ_ONLY = MOUNT_ATTR.RDONLY | _HARMLESS


def enter_sandbox(directory: str, inside: str, capabilities: Sequence[str]) -> None:
    """Leave the host for a root in which only one directory can be written.

    Args:
        directory: Absolute host path of that directory.
        inside: Where it is in the new root.
        capabilities: Those that programs may still get.

    Raises:
        OSError: The kernel refused a mount.
    """
    _keep_capabilities(capabilities)
    unshare(CLONE.NEWNET | CLONE.NEWIPC)
    target_fd = clone_tree(directory, recursive=False, attributes=_HARMLESS)
    shared = [(path, clone_tree(path, recursive=True, attributes=_READ_ONLY)) for path in shared_paths()]
    mount("tmpfs", directory, "tmpfs", MS.NOSUID | MS.NODEV, "mode=0755,size=64k")
    root_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for path, fd in shared:
        attach(fd, root_fd, path)
    for path, link in shared_links():
        os.symlink(link, path.lstrip("/"), dir_fd=root_fd)
    attach(target_fd, root_fd, inside)
    mount_setattr(root_fd, "", AT.EMPTY_PATH, attr_set=_READ_ONLY)
    os.fchdir(root_fd)
    pivot_root(".", ".")
    umount2(".", MNT.DETACH)
    os.chdir("/")
    os.close(root_fd)


def _keep_capabilities(names: Sequence[str]) -> None:
    """Take everything else from the programs to come; what this process has now it keeps until then."""
    kept = to_mask(names)
    for number in range(last_cap() + 1):
        if not kept >> number & 1:
            capbset_drop(number)
    set_no_new_privs()
