"""A supervisor as its barn sees it, without a process."""

from __future__ import annotations

from haconiwa.errors import ContainerError
from haconiwa.spec.model import ContainerSpec
from haconiwa.supervisor.link import make_link, send_failure, send_up
from haconiwa.supervisor.member import Member


def test_a_start_after_one_that_failed_is_none() -> None:
    member = Member(ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}), lambda _spec: [])
    member.link, theirs = make_link()
    send_up(theirs, 42)
    send_failure(theirs, ContainerError("cannot start again", exit_status=126))
    send_up(theirs, 43)
    for container_pid, failure, status in (
        (42, [], None),
        (42, ["error: cannot start again"], 126),
        (43, [], None),
    ):
        assert member.receive() == -1
        assert (member.container_pid, member.failure, member.exit_status) == (container_pid, failure, status)
    theirs.close()
    member.link.close()
