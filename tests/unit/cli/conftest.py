"""What these tests compile is kept in a folder of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_CACHE_DIR", str(tmp_path / "cache"))
