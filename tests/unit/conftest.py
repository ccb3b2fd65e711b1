"""What all unit tests have in common."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def usual_parent_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans name the parent group of everybody, also where the tests were given one of their own."""
    monkeypatch.delenv("HACONIWA_CGROUP", raising=False)
