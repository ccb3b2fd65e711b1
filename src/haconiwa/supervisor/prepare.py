"""From a haco file to the containers of a barn, each with the plan of its start. Nothing is done yet."""

from __future__ import annotations

import os

from haconiwa.host.cgroups import hierarchies
from haconiwa.host.descriptors import write_all
from haconiwa.lifecycle.plan import plan_start, warnings
from haconiwa.supervisor.caller import check_caller
from haconiwa.supervisor.member import Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import BarnSpec, ContainerSpec
    from haconiwa.supervisor.barn import BarnOptions


def prepare(spec: BarnSpec, options: BarnOptions) -> tuple[BarnSpec, list[Member]]:
    """The file for this host, and its containers with the plans of their starts.

    Raises:
        HaconiwaError: The caller may not use it, or the host cannot do what it asks for.
    """
    check_caller(spec)
    if any(container.auto_ids for container in spec.containers):
        from haconiwa.lifecycle.id_ranges import take_id_ranges

        spec = take_id_ranges(spec)
    term = os.environ.get("TERM") if options.terminal else None
    found = hierarchies()

    def plan(container: ContainerSpec) -> list[Step]:
        return plan_start(container, found, daemon=spec.daemonize, term=term)

    members = [Member(container, plan) for container in spec.containers]
    if not options.quiet:
        _warn(members, options.message_fd)
    return spec, members


def _warn(members: list[Member], message_fd: int) -> None:
    for member in members:
        for line in warnings(member.steps, member.spec.name):
            write_all(message_fd, f"{line}\n".encode())
