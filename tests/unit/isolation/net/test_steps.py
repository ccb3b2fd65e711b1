"""What is undone, and undone again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.isolation.net.leases import Reservation
from haconiwa.isolation.net.steps import HoldNetwork
from haconiwa.isolation.net.store import Lease
from haconiwa.isolation.step import Site
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.network import NetworkSpec


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
