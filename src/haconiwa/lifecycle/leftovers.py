"""What containers have left on this machine that nobody will clear away by himself, found without touching it.

Records of containers whose supervisor was killed, their groups, networks and thrown layers. A container that lives on
without its supervisor keeps everything, and so does one that is just being started: its name is locked.
"""

from __future__ import annotations

import os
import time
from functools import partial

from haconiwa.errors import ContainerError
from haconiwa.host.cgroups import hierarchies
from haconiwa.host.paths import cache_dir, network_dir, run_dir
from haconiwa.host.tree import remove_tree
from haconiwa.isolation.groups import is_populated, remove_groups
from haconiwa.lifecycle.damaged import damaged_in_use, is_in_use
from haconiwa.lifecycle.state import Claim, is_supervised, list_states, live_status, read_state, thrown_layer
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


BUILDING = frozenset({"roots", "downloads", "blobs", "packages"})
"""What is kept for building: it knows itself what can go, see `haconiwa.build.cache`."""

_STARTING_S = 10.0
"""A folder or group without a record that is younger may belong to a supervisor that is just starting."""


class Leftover(Record):
    """One thing that can go.

    Attributes:
        kind: ``container``, ``layer``, ``cgroup``, ``network`` or ``cache``.
        name: The container's, or an absolute path.
        remove: Removes it, if it is still left over then.
    """

    kind: str
    name: str
    remove: Callable[[], object]


def orphans() -> list[str]:
    """The containers that run without a supervisor."""
    damaged = [error.subject for error in damaged_in_use() if not is_supervised(error.subject)]
    return [*(state.name for state in list_states() if live_status(state) == "orphaned"), *damaged]


def find_leftovers(*, caches: bool = False) -> list[Leftover]:
    """Everything that can go.

    Args:
        caches: Also what can be made again but would be used again, except for what building keeps.
    """
    found = [*_records(), *_networks(), *_empty_groups()]
    return [*found, *_caches()] if caches else found


def _records() -> Iterator[Leftover]:
    for name in sorted(_listed(run_dir())):
        if name.startswith(".") or is_supervised(name):
            continue
        try:
            state = read_state(name)
        except ContainerError:
            if is_in_use(name):
                continue
            state = None
        if state is None and not _is_abandoned(os.path.join(run_dir(), name)):
            continue
        if state is not None and live_status(state) == "orphaned":
            continue
        folder = thrown_layer(state) if state is not None else ""
        if os.path.isdir(folder):
            yield Leftover(kind="layer", name=folder, remove=partial(remove_tree, folder))
        yield Leftover(kind="container", name=name, remove=partial(_forget, name))


def _forget(name: str) -> None:
    Claim(name).release()  # taking a claim clears away


def _is_abandoned(folder: str) -> bool:
    try:
        return os.path.isdir(folder) and time.time() - os.stat(folder).st_mtime > _STARTING_S
    except FileNotFoundError:
        return False


def _networks() -> Iterator[Leftover]:
    if not os.path.isdir(network_dir()):
        return
    from haconiwa.isolation.net.leases import give_back_stale, stale_names
    from haconiwa.isolation.net.store import Store

    with Store() as store:
        names = stale_names(store)
    for name in names:
        yield Leftover(kind="network", name=name, remove=partial(give_back_stale, name))


def _empty_groups() -> Iterator[Leftover]:
    """Groups of ours without a process that belong to no container that is known."""
    known = {path for state in list_states() for path in state.cgroups}
    for hierarchy in hierarchies():
        parent = os.path.dirname(hierarchy.group("any"))
        if not os.access(parent, os.W_OK):
            continue  # of other users
        for name in sorted(_listed(parent)):
            path = os.path.join(parent, name)
            if path not in known and not is_supervised(name) and _is_abandoned(path) and not is_populated(path):
                yield Leftover(kind="cgroup", name=path, remove=partial(remove_groups, (path,)))


def _caches() -> Iterator[Leftover]:
    for name in sorted(set(_listed(cache_dir())) - BUILDING):
        path = os.path.join(cache_dir(), name)
        yield Leftover(kind="cache", name=path, remove=partial(remove_tree, path))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
