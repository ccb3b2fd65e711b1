"""Id-mapped mounts: the files of a mount show with other owners than they have on disk, and nothing is changed there.

See: mount_setattr(2), MOUNT_ATTR_IDMAP.
"""

from __future__ import annotations

import os

from haconiwa.errors import HostError, describe_errno
from haconiwa.isolation.namespaces import write_map
from haconiwa.kernel.mount import AT, MOUNT_ATTR, mount_setattr
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.process import clone3, set_pdeathsig
from haconiwa.kernel.signals import SIGKILL
from haconiwa.spec.model import IdMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.isolation.step import Site
    from haconiwa.spec.model import ContainerSpec

    Maps = tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]


def is_mapped(host_id: int, mappings: tuple[IdMapping, ...]) -> bool:
    """Whether an id of the host's means something in a container."""
    return any(m.host_id <= host_id < m.host_id + m.size for m in mappings)


def map_tree(fd: int, maps: Maps, *, recursive: bool) -> None:
    """Give a detached mount the ids of a container: what belongs to root on disk belongs to root inside.

    Raises:
        OSError: EINVAL when its file system cannot do that, EPERM when it was done already or needs more rights.
    """
    userns_fd = _user_namespace(*maps)
    try:
        flags = AT.EMPTY_PATH | (AT.RECURSIVE if recursive else AT(0))
        mount_setattr(fd, "", flags, attr_set=MOUNT_ATTR.IDMAP, userns_fd=userns_fd)
    finally:
        os.close(userns_fd)


def map_root(fd: int, site: Site) -> None:
    """Show the files of the root with the container's ids, if that is asked for or its owner would mean nothing inside.

    Raises:
        HostError: It was asked for and cannot be done.
    """
    spec = site.spec
    rootfs = spec.rootfs
    if rootfs is None or (rootfs.idmap is None and is_mapped(os.fstat(fd).st_uid, spec.uid_mappings)):
        return
    try:
        map_tree(fd, (spec.uid_mappings, spec.gid_mappings), recursive=False)
    except OSError as error:
        failure = HostError(
            f'cannot show the files of "{rootfs.path}" with the container\'s ids',
            why=describe_errno(error.errno or 0),
            hint="its file system cannot do that: give the files to the mapped ids, and say rootfs.idmap = False",
            where=rootfs.where,
            subject=spec.name,
        )
        if rootfs.idmap:
            raise failure from None
        site.report(failure)  # they then belong to nobody inside, but can be read as far as everybody may


def map_bind(fd: int, idmap: str, spec: ContainerSpec, *, recursive: bool) -> None:
    """Give a bind mount the ids that its options ask for."""
    if idmap:
        map_tree(fd, parse_idmap(idmap), recursive=recursive)
    else:
        map_tree(fd, (spec.uid_mappings, spec.gid_mappings), recursive=recursive)


def parse_idmap(text: str) -> Maps:
    """The maps of ``X-mount.idmap=``: words of ``u:DISK:SHOWN:COUNT``, ``g:…`` for groups and ``b:…`` for both.

    See: mount(8), X-mount.idmap.
    """
    uids, gids = [], []
    for word in text.split():
        kind, disk, shown, count = word.split(":")
        mapping = IdMapping(container_id=int(disk), host_id=int(shown), size=int(count))
        uids += [mapping] if kind in "ub" else []
        gids += [mapping] if kind in "gb" else []
    return tuple(uids), tuple(gids)


def _user_namespace(uid_mappings: tuple[IdMapping, ...], gid_mappings: tuple[IdMapping, ...]) -> int:
    """A user namespace with these maps, which lives as long as the descriptor; its one process does nothing."""
    pid, pidfd = clone3(CLONE.NEWUSER)
    if pid == 0:
        try:
            set_pdeathsig(SIGKILL)
            while True:
                os.read(os.eventfd(0), 8)  # nobody ever writes: until it is killed
        finally:
            os._exit(1)
    try:
        write_map(pid, "uid_map", uid_mappings)
        write_map(pid, "gid_map", gid_mappings)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
