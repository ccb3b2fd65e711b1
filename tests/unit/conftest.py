"""What unit tests keep and record goes to folders of theirs, never to the machine's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "LOG"):
        monkeypatch.setenv(f"HACONIWA_{name}_DIR", str(tmp_path / f"own-{name.lower()}"))
