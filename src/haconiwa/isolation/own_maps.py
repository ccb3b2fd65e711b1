"""The id maps that an ordinary user gives its container: by newuidmap and newgidmap, or of its own id alone.

See: newuidmap(1), newgidmap(1), user_namespaces(7).
"""

from __future__ import annotations

import os

from haconiwa.host.own_ids import is_own_id
from haconiwa.host.tools import ToolFailed, run_tool
from haconiwa.isolation.namespaces import WriteIdMaps, format_maps, write_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import IdMapping


class WriteOwnIdMaps(WriteIdMaps):
    """Have the maps of the new user namespace written, and let the child go on."""

    def write(self, pid: int) -> None:
        """Write both maps of a process's user namespace, one that was made by this user."""
        _write_own_map(pid, "uid", self.uid_mappings)
        _write_own_map(pid, "gid", self.gid_mappings)

    def hint(self, number: int) -> str:
        return "a map of the caller's own id is written by this process itself: see user_namespaces(7)"


def _write_own_map(pid: int, kind: str, mappings: tuple[IdMapping, ...]) -> None:
    if not is_own_id(kind, mappings):
        numbers = [str(part) for m in mappings for part in (m.container_id, m.host_id, m.size)]
        try:
            run_tool(f"map the {kind}s {format_maps(mappings)}", f"new{kind}map", str(pid), *numbers)
        except ToolFailed as error:
            error.hint = f"new{kind}map must be set-user-ID root, which no_new_privs keeps it from"
            raise
        return
    if kind == "gid":
        # Or a process could leave a group that is kept from something. The kernel takes no gid map before that.
        fd = os.open(f"/proc/{pid}/setgroups", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"deny")
        finally:
            os.close(fd)
    write_map(pid, f"{kind}_map", mappings)
