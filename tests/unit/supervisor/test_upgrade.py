"""Loading what may be needed later while the files are being replaced."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor import upgrade


def test_what_cannot_be_loaded_is_said_and_the_rest_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {"whole": "x = 1", "cut_off": "def half(:", "without": "from json import no_such_name", "raises": "1 / 0"}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(upgrade, "sources_of_package", lambda: [(name, "") for name in (*files, "gone")])
    monkeypatch.setattr(upgrade, "_SETTLED_S", 0.0)
    loop = Loop()
    upgrade.load_the_rest(loop)
    loop.run_until(lambda: not loop._timers)
    assert "whole" in sys.modules
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "error: cannot load \"gone\" and 3 more: ModuleNotFoundError: No module named 'gone'"
    assert len(said) == 2
    del sys.modules["whole"]
