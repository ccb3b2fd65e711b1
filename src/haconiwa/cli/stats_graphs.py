"""The table of `haconiwa stats` with graphs and colours, drawn by rich."""

from __future__ import annotations

import io
from collections import deque

from rich.console import Console
from rich.table import Table
from rich.text import Text

from haconiwa.cli.output import colours
from haconiwa.cli.stats_table import GAP, HEAD, Painter, cells, fitting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from haconiwa.cli.stats_table import Row

_BARS = "▁▂▃▄▅▆▇█"
_LEAST, _MOST = 8, 24
_WHOLE_PROCESSOR = 100.0
_WARN, _ALARM = 0.75, 0.9
_GRAPHS = {"CPU": ("cpu_percent", "green"), "MEMORY": ("memory", "cyan")}
"""Which columns are followed by a graph: of what, in which colour."""


class Graphs(Painter):
    """Remembers the figures, so that it can show how they went; not those of a container that is gone or runs anew."""

    def __init__(self) -> None:
        super().__init__()
        self._past: dict[tuple[str, int, str], deque[float]] = {}

    def add(self, rows: list[Row]) -> None:
        known, self._past, self.rows = self._past, {}, rows
        for row in rows:
            for figure, _style in _GRAPHS.values():
                if row[figure] is not None:
                    key = (row["name"], row["pid"], figure)
                    self._past[key] = known.get(key) or deque(maxlen=_MOST)
                    self._past[key].append(row[figure])

    def lines(self, columns: int) -> list[str]:
        console = Console(
            file=io.StringIO(), width=columns, force_terminal=True, no_color=not colours(1), legacy_windows=False
        )
        with console.capture() as capture:
            console.print(self._table(columns), end="")
        return capture.get().splitlines()

    def _table(self, columns: int) -> Table:
        texts = [HEAD, *map(cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        room = columns - sum(width + GAP for width in widths)
        graph = min(_MOST, max(_LEAST, room // len(_GRAPHS) - GAP))
        parts: list[tuple[str, int]] = []
        for head, width in zip(HEAD, widths, strict=True):
            parts += [(head, width), ("", graph)] if head in _GRAPHS else [(head, width)]
        count = fitting([width for _head, width in parts], columns)
        shown = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
        for head, width in parts[:count]:
            shown.add_column(head, width=width, no_wrap=True, overflow="ellipsis")
        for row, text in zip(self.rows, texts[1:], strict=True):
            shown.add_row(*self._cells(row, text, graph)[:count])
        return shown

    def _cells(self, row: Row, texts: tuple[str, ...], width: int) -> list[Text]:
        line = []
        for head, text in zip(HEAD, texts, strict=True):
            line.append(Text(text, style=_style(head, row)))
            if head in _GRAPHS:
                figure, style = _GRAPHS[head]
                past = list(self._past.get((row["name"], row["pid"], figure), ()))[-width:]
                line.append(Text(graph_of(past, _top(figure, row, past)).rjust(width), style=style))
        return line


def _top(figure: str, row: Row, past: Sequence[float]) -> float:
    """What a whole bar stands for."""
    if figure == "cpu_percent":
        return max(_WHOLE_PROCESSOR, *past, 0)
    return row["memory_limit"] or max(past, default=0)


def graph_of(values: Sequence[float], top: float) -> str:
    """Numbers as bars, one character each."""
    last = len(_BARS) - 1
    return "".join(_BARS[int(min(value / top, 1.0) * last + 0.5) if top > 0 else 0] for value in values)


def _style(head: str, row: Row) -> str:
    if head == "NAME":
        return "bold"
    if head == "MEMORY" and row["memory"] and row["memory_limit"]:
        share = row["memory"] / row["memory_limit"]
        return "red" if share >= _ALARM else "yellow" if share >= _WARN else ""
    return "" if head != "STATUS" or row["status"] == "running" else "yellow"
