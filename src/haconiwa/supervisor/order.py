"""Which container of a barn comes after which."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.supervisor.member import Member


class Order:
    """The order of the containers of one start.

    Args:
        members: All of them.
    """

    def __init__(self, members: list[Member]) -> None:
        self._members = members

    def due(self) -> list[Member]:
        """Those that are not started yet and wait for nobody."""
        return [
            member
            for member in self._members
            if member.is_waiting and all(_is_satisfied(member, other) for other in self.before(member))
        ]

    def before(self, member: Member) -> list[Member]:
        """Those that a container comes after."""
        return [other for other in self._members if other.name in member.spec.after]

    def waiting_after(self, member: Member) -> list[Member]:
        """Those that are not started yet because they come after one that is not what they wait for."""
        return [other for other in self._after(member) if other.is_waiting and not _is_satisfied(other, member)]

    def living_after(self, member: Member) -> list[Member]:
        """Those that come after a container and have not ended yet."""
        return [other for other in self._after(member) if other.pidfd >= 0]

    def _after(self, member: Member) -> list[Member]:
        return [other for other in self._members if member.name in other.spec.after]


def _is_satisfied(member: Member, other: Member) -> bool:
    return other.ready if member.spec.after_condition == "ready" else other.container_pid != 0
