from __future__ import annotations

import pytest

from haconiwa.host.sizes import show_duration, show_size
from haconiwa.spec.amounts import size_bytes


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (20 << 30, "20 GiB"), (2**60, "1 EiB"),
        (2**71, "2048 EiB"),
    ],
)  # fmt: skip
def test_sizes(size: int, shown: str) -> None:
    assert show_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.44, "0.4 s"), (12.3, "12 s"), (60, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(("text", "size"), [("7", 7), (7, 7), ("1K", 1024), ("3m", 3 << 20), ("20G", 20 << 30)])
def test_amounts_of_a_haco_file(text: object, size: int) -> None:
    assert size_bytes(text) == size
