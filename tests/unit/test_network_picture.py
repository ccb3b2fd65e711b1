"""The picture of docs/network.md is drawn from its source."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def words(svg: str) -> list[str]:
    """All texts of a picture; where they stand differs from one graphviz to the other."""
    return sorted(re.findall(r"<text[^>]*>(.*?)</text>", svg))


@pytest.mark.requires("dot")
def test_the_picture_shows_what_its_source_says() -> None:
    argv = ["dot", "-Tsvg", str(DOCS / "network.dot")]
    drawn = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    assert words((DOCS / "network.svg").read_text(encoding="utf-8")) == words(drawn) != []
    assert "(network.svg)" in (DOCS / "network.md").read_text(encoding="utf-8")
