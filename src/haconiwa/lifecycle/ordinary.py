"""A haco file as an ordinary user starts it: every container in a user namespace, with ids that this user may map."""

from __future__ import annotations

import os

from haconiwa.errors import ConfigError, HostError
from haconiwa.host.own_ids import KINDS, is_own_id, own_mappings, require_own
from haconiwa.host.paths import run_dir
from haconiwa.spec.record import replace
from haconiwa.spec.unprivileged import check_unprivileged
from haconiwa.spec.validate import check_mappings, check_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where
    from haconiwa.spec.model import BarnSpec, ContainerSpec

LINES_TO_ADD = 'config.namespace.unshare("user", "pid") and config.namespace.map_ids("auto")'
"""What lets an ordinary user start a file."""


def as_ordinary(barn: BarnSpec, command: str) -> BarnSpec:
    """The file with its containers as this user can have them.

    Args:
        barn: As it was loaded.
        command: What is to be done with it.

    Raises:
        HostError: A container has no user namespace, or maps ids that are not this user's.
        ConfigError: With all that only root may ask for.
    """
    for container in barn.containers:
        if "user" not in container.namespaces:
            raise HostError(
                f"cannot {command} as user {os.geteuid()}",
                why="it needs root, or a user namespace",
                hint=f"sudo haconiwa {command} …, or add {LINES_TO_ADD}",
                subject=container.name,
            )
    containers = tuple(map(with_own_ids, barn.containers))
    checks = (check_unprivileged, check_mappings, check_user)
    if problems := [problem for each in containers for check in checks for problem in check(each)]:
        raise ConfigError(problems)
    for container in containers:
        for kind, mappings in zip(KINDS, (container.uid_mappings, container.gid_mappings), strict=True):
            require_own(kind, mappings, _map_line(container, kind))
    return replace(barn, containers=containers)


def with_own_ids(container: ContainerSpec) -> ContainerSpec:
    """The container, marked as an ordinary user's, with this user's own maps in the place of ``map_ids("auto")``."""
    uids, gids = container.uid_mappings, container.gid_mappings
    if container.auto_ids:
        uids, gids = (own_mappings(kind, container.auto_ids) for kind in KINDS)
    return replace(
        container,
        uid_mappings=uids,
        gid_mappings=gids,
        auto_ids=0,
        unprivileged=True,
        keeps_groups=is_own_id("gid", gids),
        rootfs=replace(container.rootfs, idmap=container.rootfs.idmap or False) if container.rootfs else None,
    )


def _map_line(container: ContainerSpec, kind: str) -> Where | None:
    """The line of the haco file that maps a kind of ids."""
    sources = container.sources
    return sources.get(f"namespace.set_{kind}_mapping") or sources.get("namespace.map_ids")


def prepare_start(barn: BarnSpec) -> list[str]:
    """Look after what every start of this user needs.

    Args:
        barn: As it was loaded.

    Returns:
        What to say to a user who has no ids for ``map_ids("auto")`` but its own, as lines to show.

    Raises:
        HostError: There is no safe folder for the state.
    """
    run_dir()
    return [
        f"notice: {container.name}: no subordinate ids are set aside for you: there is only root inside, who is you"
        for container in barn.containers
        if container.auto_ids and is_own_id("uid", own_mappings("uid", container.auto_ids))
    ]
