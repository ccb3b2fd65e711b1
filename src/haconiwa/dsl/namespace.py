"""The section ``config.namespace``: which namespaces are made, entered, and how ids map."""

from __future__ import annotations

from haconiwa.dsl.node import Recording, Section
from haconiwa.dsl.paths import host_path
from haconiwa.spec.model import NAMESPACE_TYPES, IdMapping, JoinedNamespace
from haconiwa.spec.values import ID_MAX, Refused, container_name, items, number, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from haconiwa.dsl.paths import StrPath
    from haconiwa.errors import Where
    from haconiwa.spec.confinement import PersistedNamespace
    from haconiwa.spec.model import NamespaceType

_EXPECTED = "a namespace (mount ipc uts pid net user cgroup time)"
_OFFSET_MAX = 4_000_000_000  # in seconds; the kernel's own limit lies above 2**32
_OTHER_NAMES = {
    "network": 'write "net"',
    "mnt": 'write "mount"',
    "hostname": 'write "uts"',
}


def _namespace(value: object) -> Any:
    return one_of(value, NAMESPACE_TYPES, _EXPECTED, _OTHER_NAMES)


class Namespace(Section):
    """What the container sees of its own, see namespaces(7)."""

    __slots__ = ()
    _section = "namespace"

    def unshare(self, *types: NamespaceType, persist_in: StrPath | None = None) -> None:
        """Give the container namespaces of its own.

        Args:
            types: Their kinds.
            persist_in: Keep them when the container has ended: host path on which the namespace's file is mounted; of
                several types, a folder that gets one file each. `haconiwa rm --namespaces` removes them.
        """
        with Recording(self, "unshare") as where:
            if not types:
                raise Refused("names no namespace")
            kinds = [_namespace(type_) for type_ in types]
            if persist_in is not None:
                self._persist(kinds, host_path(persist_in), where)
            made: dict[str, Where] = self._values.setdefault("unshared", {})
            for kind in kinds:
                made.setdefault(kind, where)

    def _persist(self, kinds: list[NamespaceType], path: str, where: Where) -> None:
        from haconiwa.spec.confinement import PersistedNamespace

        if "cgroup" in kinds:
            raise Refused("persist_in= cannot keep a cgroup namespace: the groups it shows go with the container")
        kept: dict[str, PersistedNamespace] = self._values.setdefault("persisted", {})
        for kind in kinds:
            file = path if len(kinds) == 1 else f"{path.rstrip('/')}/{kind}"
            kept[kind] = PersistedNamespace(type=kind, path=file, where=where)

    def set_time_offset(self, *, monotonic: int = 0, boottime: int = 0) -> None:
        """Let the clocks of a time namespace differ from the host's; implies it.

        Args:
            monotonic: Seconds added to CLOCK_MONOTONIC.
            boottime: Seconds added to CLOCK_BOOTTIME, which ``uptime`` shows.
        """
        from haconiwa.spec.confinement import TimeOffsets

        with Recording(self, "set_time_offset") as where:
            self._values["time_offsets"] = TimeOffsets(
                monotonic_s=number(monotonic, -_OFFSET_MAX, _OFFSET_MAX, "monotonic= as a number of seconds"),
                boottime_s=number(boottime, -_OFFSET_MAX, _OFFSET_MAX, "boottime= as a number of seconds"),
                where=where,
            )

    def enter(self, type: NamespaceType, path: StrPath | None = None, *, via: StrPath | None = None) -> None:
        """Enter a namespace that exists.

        Args:
            type: Its kind.
            path: Host path of its file, such as ``/proc/123/ns/net``; a relative one starts from the haco file.
            via: Another name of `path`.
        """
        with Recording(self, "enter") as where:
            kind = _namespace(type)
            if (path is None) == (via is None):
                raise Refused("takes one path")
            self._join(kind, host_path(via if path is None else path), where)

    def use_netns(self, name: str) -> None:
        """Enter a network namespace that ``ip netns add`` made, by its name."""
        with Recording(self, "use_netns") as where:
            self._join("net", f"/run/netns/{container_name(name)}", where)

    def _join(self, kind: NamespaceType, path: str, where: Where) -> None:
        joined: dict[str, JoinedNamespace] = self._values.setdefault("joined", {})
        if kind in joined and joined[kind].path != path:
            raise Refused(f"another {kind} namespace is entered already", f"see {joined[kind].where}")
        joined[kind] = JoinedNamespace(type=kind, path=path, where=where)

    def set_uid_mapping(self, *, min: int, max: int, offset: int) -> None:
        """Map user ids of a user namespace; implies it. Several calls add lines, see user_namespaces(7).

        Args:
            min: First id inside.
            max: How many.
            offset: First id on the host.
        """
        with Recording(self, "set_uid_mapping"):
            self._values.setdefault("uid_mappings", []).append(_mapping(min, max, offset))

    def set_gid_mapping(self, *, min: int, max: int, offset: int) -> None:
        """Map group ids, as `set_uid_mapping` does user ids."""
        with Recording(self, "set_gid_mapping"):
            self._values.setdefault("gid_mappings", []).append(_mapping(min, max, offset))

    def map_ids(
        self,
        ids: Literal["auto"] | Sequence[tuple[int, int, int]],
        *,
        gids: Sequence[tuple[int, int, int]] | None = None,
        size: int = 65536,
    ) -> None:
        """Map the ids of a user namespace; implies it.

        Args:
            ids: ``"auto"`` for a free range of /etc/subuid and /etc/subgid, the same at each start; or the lines
                of both maps as (first id inside, first id on the host, how many).
            gids: Lines for group ids, where they are others.
            size: With ``"auto"``: how many ids.
        """
        with Recording(self, "map_ids"):
            if _is_auto(ids):
                if gids is not None:
                    raise Refused('gids= goes with lines, not with "auto"')
                self._values["auto_ids"] = number(size, 1, ID_MAX, "size= as a number")
                return
            own = _lines(ids, '"auto" or a list of (first id inside, first id on the host, how many)')
            self._values["uid_mappings"] = own
            self._values["gid_mappings"] = _lines(gids, "a list as of ids") if gids is not None else list(own)


def _is_auto(value: object) -> bool:
    return type(value) is str and value == "auto"


def _lines(value: object, expected: str) -> list[IdMapping]:
    lines = items(value, lambda line: items(line, lambda part: part, expected), expected)
    if not lines or any(len(line) != 3 for line in lines):
        raise Refused(f"expected {expected}")
    return [_mapping(inside, size, host) for inside, host, size in lines]


def _mapping(first: object, size: object, host: object) -> IdMapping:
    container_id = number(first, 0, ID_MAX, "the first id inside as a number")
    count = number(size, 1, ID_MAX + 1, "how many ids as a number")
    host_id = number(host, 0, ID_MAX, "the first id on the host as a number")
    if max(container_id, host_id) + count - 1 > ID_MAX:
        raise Refused(f"{count} ids from {max(container_id, host_id)} end above {ID_MAX}")
    return IdMapping(container_id=container_id, host_id=host_id, size=count)
