"""``haconiwa network``: what is shown while others wait."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from haconiwa.cli import network
from haconiwa.cli.arguments import parse
from haconiwa.cli.output import Output
from haconiwa.isolation.net.store import Bridge, Store

pytestmark = pytest.mark.requires("root")


class Reader(Output):
    """Reads so slowly that others want the store meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def result(self, text: str) -> None:
        with Store(timeout_s=0):
            self.lines.append(text)


@pytest.fixture(autouse=True)
def own_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    with Store() as store:
        store.record_bridge(Bridge(name="b0", address="10.0.0.1/24", on_demand=False))


@pytest.mark.parametrize("argv", [["ls"], ["ls", "--json"], ["inspect", "b0"]])
def test_nobody_waits_for_who_reads(argv: list[str]) -> None:
    reader = Reader()
    assert network.run(parse("network", network, argv), reader) == 0
    shown = "\n".join(reader.lines)
    assert "10.0.0.1/24" in (shown if argv == ["ls"] else json.dumps(json.loads(shown)))
