"""What a start makes of a container's process that ends in the middle of the conversation, with real processes."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import pytest

from haconiwa.errors import ContainerError
from haconiwa.isolation.namespaces import CloneProcess
from haconiwa.isolation.step import CHILD, PARENT, Site, Step
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.program import READY
from haconiwa.spec.model import ContainerSpec

DEADLINE_S = 20


class Doing(Step):
    """A step out of a function."""

    def __init__(self, place: str, function: Callable[[Site], object]) -> None:
        super().__init__(place)
        self._function = function

    def describe(self) -> str:
        return "do what the test wants"

    def execute(self, site: Site) -> None:
        self._function(site)


def told(site: Site) -> None:
    """Say that all is ready and wait, without reading it, for the answer."""
    os.write(site.channel_fd, READY)
    assert select.select([site.channel_fd], [], [], DEADLINE_S)[0]


def fails(*steps: Step) -> str:
    """The message of a start with these steps, without a namespace."""
    spec = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}, namespaces=())
    with pytest.raises(ContainerError) as caught:
        Container(spec, [CloneProcess(spec), *steps], Site(spec)).start()
    return str(caught.value)


def test_process_that_is_killed_before_it_takes_the_word() -> None:
    def die(site: Site) -> None:
        told(site)
        os.kill(os.getpid(), 9)

    message = fails(Doing(CHILD, die))
    assert "the container's process died before its program ran: signaled(9)" in message


def test_process_that_fails_before_it_takes_the_word_says_why() -> None:
    def fail(site: Site) -> None:
        told(site)
        raise OSError(28, "No space left on device")

    assert "cannot do what the test wants: No space left on device" in fails(Doing(CHILD, fail))


def test_process_that_is_gone_when_the_word_comes() -> None:
    def end(site: Site) -> None:
        os.write(site.channel_fd, READY)
        os._exit(3)

    def wait(site: Site) -> None:
        os.waitid(os.P_PID, site.child_pid, os.WEXITED | os.WNOWAIT)

    message = fails(Doing(CHILD, end), Doing(PARENT, wait))
    assert "the container's process died before its program ran: exited(3)" in message
