"""What is recorded is read back, whatever somebody did to the files; names and addresses that are chosen."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.errors import HostError
from haconiwa.host.descriptors import is_at
from haconiwa.isolation.net import names
from haconiwa.isolation.net.store import Bridge, Lease, Store
from haconiwa.spec.addresses import holds, parse_network
from haconiwa.spec.network import Interface

LEASE = Lease(
    name="web",
    names=("web.example", "web"),
    interfaces=(
        Interface(
            name="eth0", host_name="hc1", bridge="b0", address="10.0.0.5/24", address6="", gateway="10.0.0.1",
            gateway6="", mac="02:00:00:00:00:05", mtu=1400,
        ),
    ),
    published=(("tcp4", "0.0.0.0/0 . 80 : 10.0.0.5 . 80"),),
    namespace="blue",
    cleanup=False,
    hosts=(("10.9.9.9", "db"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


def test_what_is_recorded_is_read(own_run_dir: Path) -> None:
    bridge = Bridge(name="b0", address="10.0.0.1/24", address6="fd00::1/64", mtu=1400, on_demand=False)
    with Store() as store:
        store.record(LEASE)
        store.record_bridge(bridge)
    with Store() as store:
        assert store.leases() == [LEASE]
        assert store.bridges() == [bridge]
        assert LEASE.uses("b0")
        assert store.lease("other") is None
        store.forget("web")
        store.forget_bridge("b0")
    assert list(own_run_dir.iterdir()) == []


def test_a_held_lease_is_held_once() -> None:
    with Store() as store:
        fd = store.hold("web")
        assert store.is_held("web")
        with pytest.raises(BlockingIOError):
            store.hold("web")
        os.close(fd)
        assert not store.is_held("web")
        store.forget("web")


def test_who_does_not_let_go_is_not_waited_for_without_limit(own_run_dir: Path) -> None:
    with Store(), pytest.raises(HostError) as caught:
        Store(timeout_s=0.05)
    path = own_run_dir / ".network/lock"
    assert str(caught.value) == f'cannot lock "{path}": another process holds it still after 0.05 s'
    with Store(timeout_s=0):
        assert path.exists()


def test_who_waited_for_a_folder_that_has_gone_locks_the_next_one(own_run_dir: Path) -> None:
    path = str(own_run_dir / ".network/lock")
    locked: list[bool] = []

    def wait_for_it() -> None:
        with Store() as store:
            locked.append(is_at(store._fd, path))

    waits = threading.Thread(target=wait_for_it)
    with Store():
        waits.start()
        while open_fds(path) < 2:
            assert waits.is_alive()
    waits.join()
    assert locked == [True]


def open_fds(path: str) -> int:
    """How many descriptors of this process lead to a path."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}") == path
        except FileNotFoundError:
            pass  # the one that listed them
    return count


@pytest.mark.parametrize("text", ["", "\0\0", "interface a b\n", "names web\ninterface a\n", "\udcff"])
def test_a_damaged_record_is_none(text: str) -> None:
    with Store() as store:
        store.record(LEASE)
        path = f"{store.container_folder('web')}/lease"
        Path(path).write_text(text, encoding="utf-8", errors="surrogateescape")
        assert store.lease("web") is None
        assert store.leases() == []
        assert store.names() == ["web"]
        store.forget("web")


@given(st.integers(8, 30), st.text(min_size=1))
def test_a_free_address_is_one_of_the_network(length: int, container: str) -> None:
    bridge = f"10.0.0.1/{length}"
    chosen = names.choose_address(bridge, container, lambda _address: True)
    assert chosen is not None
    version, number, own = parse_network(chosen)
    assert own == length
    assert holds(parse_network(bridge), version, number)
    last = (1 << 32 - length) - 1
    assert number & last not in (0, 1, last)
    assert chosen == names.choose_address(bridge, container, lambda _address: True)


def test_every_address_is_given_before_none_is() -> None:
    taken: set[str] = set()
    while True:
        chosen = names.choose_address("10.0.0.1/28", "web", lambda address: address not in taken)
        if chosen is None:
            break
        taken.add(chosen.partition("/")[0])
    assert taken == {f"10.0.0.{n}" for n in range(2, 15)}


def test_made_names() -> None:
    name = names.link_name("web", "eth0")
    assert name == names.link_name("web", "eth0") != names.link_name("web", "eth1")
    assert len(name) == 10
    mac = names.mac_address("web", "b0", ())
    assert mac.startswith("02:")
    assert len(mac) == 17
    assert mac != names.mac_address("web", "b0", [mac])
    prefix = names.unique_local_prefix("b0")
    assert prefix >> 120 == 0xFD
    assert prefix & (1 << 64) - 1 == 0
    assert names.address6("fd00::1/64", names.host_number("10.0.0.7/24")) == "fd00::7/64"
