"""An nft that hangs is waited for once, not once for each thing that might be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.host.tools import Tool, ToolHung, find_program
from haconiwa.isolation.net.firewall import Connecting, make_table, remove_elements
from haconiwa.isolation.net.store import Lease, Store
from haconiwa.kernel.mount import MS, mount
from haconiwa.kernel.namespaces import CLONE
from tests.support.child import in_child

pytestmark = pytest.mark.requires("root", "nft")

PUBLISHED = tuple(("tcp4", f"0.0.0.0/0 . {port} : 10.0.0.5 . {port}") for port in (80, 81, 82))

Asked = Callable[[Callable[[], None]], list[str]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Calls a function where nft hangs, and returns how it was called."""
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    calls, program = tmp_path / "calls", tmp_path / "nft"
    program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec sleep 60\n')
    program.chmod(0o755)

    def call(function: Callable[[], None]) -> list[str]:
        def check() -> None:
            mount(str(program), find_program("nft"), None, MS.BIND)
            Tool.finish.__defaults__ = (1.0, "")
            function()

        in_child(check, unshared=CLONE.NEWNS)
        return calls.read_text().splitlines()

    return call


def test_letting_packets_through(asked: Asked) -> None:
    def connect() -> None:
        connecting = Connecting((), Lease(name="web", published=PUBLISHED))
        with pytest.raises(ToolHung, match=r"^cannot set the rules of nftables: nft still ran after 1 s$"):
            connecting.finish()

    assert asked(connect) == ["-f -"]


def test_making_the_table(asked: Asked) -> None:
    def make() -> None:
        with Store() as store, pytest.raises(ToolHung, match=r"^cannot look at the rules of nftables: nft still ran"):
            make_table(store)

    assert asked(make) == ["list chain inet haconiwa published"]


def test_removing_elements(asked: Asked) -> None:
    assert asked(lambda: remove_elements(PUBLISHED)) == ["-f -"]
