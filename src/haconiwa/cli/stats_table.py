"""The figures of `haconiwa stats` as people read them."""

from __future__ import annotations

from haconiwa.cli.ps import table
from haconiwa.errors import printable
from haconiwa.host.sizes import show_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

HEAD = ("NAME", "CPU", "MEMORY", "LIMIT", "PIDS", "RECEIVED", "SENT", "READ", "WRITTEN", "STATUS")
"""In the order of what a narrow terminal leaves out last."""

GAP = 2
"""Columns of space between two of the table's."""

_UNKNOWN = "-"
_ABOUT = "~"


def cells(row: Row) -> tuple[str, ...]:
    """One container, under the words of `HEAD`. What was added up over its processes has a ``~`` before it."""
    about = {name: _ABOUT if name in row["of_processes"] else "" for name in ("cpu", "memory", "io")}
    return (
        printable(row["name"]),
        _UNKNOWN if row["cpu_percent"] is None else f"{about['cpu']}{row['cpu_percent']:.1f}%",
        _size(row["memory"], about["memory"]),
        _size(row["memory_limit"]),
        _UNKNOWN if row["pids"] is None else str(row["pids"]),
        _size(row["received_bytes"]),
        _size(row["sent_bytes"]),
        _size(row["read_bytes"], about["io"]),
        _size(row["written_bytes"], about["io"]),
        printable(row["status"]),
    )


def _size(amount: int | None, about: str = "") -> str:
    return _UNKNOWN if amount is None else about + show_size(amount)


def fitting(widths: list[int], columns: int) -> int:
    """How many of the first columns of a table have room; one at least."""
    used, count = -GAP, 0
    for width in widths:
        used += width + GAP
        if used > columns:
            break
        count += 1
    return max(count, 1)


def plain_lines(rows: list[Row], columns: int | None = None) -> list[str]:
    """The table as text, for a terminal of so many columns, or as wide as it is."""
    shown = [HEAD, *map(cells, rows)]
    if columns is not None:
        count = fitting([max(map(len, column)) for column in zip(*shown, strict=True)], columns)
        shown = [row[:count] for row in shown]
    return table(shown)


class Painter:
    """The table as it is on a terminal without anything to draw graphs with.

    Attributes:
        rows: The figures of the last moment.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, rows: list[Row]) -> None:
        """Take in the figures of one moment."""
        self.rows = rows

    def lines(self, columns: int) -> list[str]:
        """What to show on a terminal of so many columns."""
        return plain_lines(self.rows, columns)
