"""What is undone, and undone again."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from haconiwa.host.tools import Tool
from haconiwa.isolation.net.firewall import Connecting
from haconiwa.isolation.net.leases import Reservation, release
from haconiwa.isolation.net.steps import HoldNetwork
from haconiwa.isolation.net.store import Lease
from haconiwa.isolation.step import Site
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.network import NetworkSpec
from tests.support.child import in_child


def test_the_lease_is_let_go_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path))
    (tmp_path / ".network").touch()  # in the place of the store's folder
    site = Site(ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}))
    held_fd = os.open("/dev/null", os.O_RDONLY)
    site.network = Reservation(Lease(name="web"), held_fd)
    step = HoldNetwork(NetworkSpec(hosts={}))
    with pytest.raises(FileExistsError):
        step.undo(site)
    strangers_fd = os.open("/dev/null", os.O_RDONLY)
    assert strangers_fd == held_fd
    step.undo(site)
    os.close(strangers_fd)


def test_the_lease_is_let_go_of_whatever_keeps_us_from_waiting() -> None:
    def check() -> None:
        connecting = Connecting((), Lease(name="web"))
        connecting._tool = Tool("wait", "sleep", ("60",))
        held_fd = os.open("/dev/null", os.O_RDONLY)
        resource.setrlimit(resource.RLIMIT_NOFILE, (held_fd + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with pytest.raises(OSError, match="Too many open files"):
            release(Reservation(Lease(name="web"), held_fd, connecting))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(held_fd)

    in_child(check)
