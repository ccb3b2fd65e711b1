"""What an ordinary user may do here: what takes no root, and what somebody with root can set up for it."""

from __future__ import annotations

import os
import stat

from haconiwa.errors import HostError
from haconiwa.host.cgroups import hierarchies, writable
from haconiwa.host.finding import Finding
from haconiwa.host.paths import run_dir
from haconiwa.host.tools import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUP = "ordinary users"
_SCOPE = "systemd-run --user --scope -p Delegate=yes haconiwa start …"
_RANGES = "without it there is only one id inside, your own"


def look_as_user() -> Iterator[Finding]:
    """The programs that map ids for every user; for an ordinary one also its folder and its groups."""
    for name in ("newuidmap", "newgidmap"):
        yield _map_program(name)
    if os.geteuid() != 0:
        yield _runtime_folder()
        yield _own_groups()


def _map_program(name: str) -> Finding:
    """Whether a program has the right it needs: as set-user-ID program of root, or by a capability of its file."""
    try:
        path = find_program(name)
    except HostError as error:
        return Finding(group=_GROUP, name=f"ids by {name}", ok=False, detail=_RANGES, change=error.hint)
    status = os.stat(path)
    ok = bool(status.st_mode & stat.S_ISUID) and status.st_uid == 0
    how = "set-user-ID root"
    if not ok and "security.capability" in os.listxattr(path):
        ok, how = True, "by the capabilities of its file"
    change = f"chmod u+s {path}, which its package does"
    return Finding(group=_GROUP, name=f"ids by {name}", ok=ok, detail=how if ok else _RANGES, change=change)


def _runtime_folder() -> Finding:
    """Where the state of this user's containers is kept."""
    name = "folder for the state"
    try:
        return Finding(group=_GROUP, name=name, ok=True, needed=True, detail=run_dir())
    except HostError as error:
        return Finding(group=_GROUP, name=name, ok=False, needed=True, detail=error.why, change=error.hint)


def _own_groups() -> Finding:
    """Whether this process is in a group that was delegated to its user, so that containers can have limits."""
    own = writable(hierarchies())
    detail = ", ".join(f"v{each.version} at {each.base} ({' '.join(each.controllers) or 'no limits'})" for each in own)
    return Finding(group=_GROUP, name="cgroups", ok=bool(own), detail=detail, change=f"with systemd: {_SCOPE}")
