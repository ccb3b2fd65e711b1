"""How processes end that are somebody else's children."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from haconiwa.errors import EXIT_FAILURE
from haconiwa.isolation.step import Site
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.ended import wait_status
from haconiwa.lifecycle.identity import Identity, identify
from haconiwa.spec.model import ContainerSpec
from haconiwa.supervisor.ending import describe_end

Make = Callable[[Callable[[], object]], tuple[Identity, int]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes a child that nobody has waited for yet: ``make(lambda: os._exit(3))``."""
    pidfds = []

    def fork(act: Callable[[], object]) -> tuple[Identity, int]:
        pid = os.fork()
        if pid == 0:
            act()
        pidfds.append(os.pidfd_open(pid))
        return identify(pid), os.dup(pidfds[-1])

    yield fork
    for pidfd in pidfds:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)


@pytest.mark.parametrize(
    ("act", "status", "signalled"),
    [(lambda: os._exit(3), 3, 0), (lambda: os._exit(0), 0, 0), (lambda: os.kill(os.getpid(), 9), 137, signal.SIGKILL)],
)
def test_before_its_parent_has_waited(make: Make, act: Callable[[], object], status: int, signalled: int) -> None:
    identity, pidfd = make(act)
    container = Container(spec(), [], Site(spec()))
    container.adopt(identity, pidfd)
    assert container.reap() == status
    assert (container.exit_status, container.exit_signal, container.end_unknown) == (status, signalled, False)


def test_nobody_knows(make: Make) -> None:
    """As of a process that another one has taken the number of."""
    identity, pidfd = make(lambda: os._exit(3))
    other = Identity(pid=identity.pid, started_at=identity.started_at + 1)
    container = Container(spec(), [], Site(spec()))
    container.adopt(other, pidfd)
    assert container.reap() == EXIT_FAILURE
    assert (container.exit_status, container.end_unknown) == (EXIT_FAILURE, True)
    assert container.describe_exit() == "ended, and how is not known: it was adopted"
    assert describe_end(container, Stopped(), None) == {"reason": "unknown", "by": "a test"}  # type: ignore[arg-type]


def test_after_its_parent_has_waited() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    identity, pidfd = identify(pid), os.pidfd_open(pid)
    os.waitpid(pid, 0)
    assert wait_status(identity, pidfd) in (3 << 8, None)  # Linux 6.15 can tell
    os.close(pidfd)


class Stopped:
    stopped_by = "a test"


def spec() -> ContainerSpec:
    return ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={})
