"""The one table of all that was measured, its bars, and the ranges that must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Row", "holds", "outside", "table"]


@dataclass(frozen=True)
class Row:
    """One figure.

    `beside` is the same of a `peer` in the same run. A bar is `>= x` or `<= x`: one for the value, one for its ratio
    to the peer's. `of` says how much was measured, which is not the same in each run; `name` is.
    """

    name: str
    value: float
    unit: str = ""
    bar: str = ""
    beside: float | None = None
    peer: str = ""
    ratio_bar: str = ""
    of: str = ""

    @property
    def ratio(self) -> float | None:
        """The value beside the peer's."""
        return self.value / self.beside if self.beside else None

    @property
    def checked(self) -> float:
        """What a range is about: the ratio, which another machine would show too; the value of what has none."""
        return self.value if self.ratio is None else self.ratio


def holds(value: float, bar: str) -> bool:
    """Whether a value keeps to a bar.

    >>> holds(0.8, ">= 0.9"), holds(1.0, "<= 1.2")
    (False, True)
    """
    sign, limit = bar.split()
    return value >= float(limit) if sign == ">=" else value <= float(limit)


def outside(rows: Iterable[Row], ranges: Mapping[str, str]) -> list[str]:
    """Return a sentence for each row that has got worse than its range allows."""
    return [
        f"{row.name}: {'value' if row.ratio is None else 'ratio'} {_short(row.checked)} is not {ranges[row.name]}"
        for row in rows
        if row.name in ranges and not holds(row.checked, ranges[row.name])
    ]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table that reads well as it is and as Markdown."""
    lines = [["what", "podgraph", "bar", "beside it", "ratio", "bar of the ratio"], *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def _cells(row: Row) -> list[str]:
    beside = "" if row.beside is None else f"{row.peer} {_short(row.beside)} {row.unit}".strip()
    return [
        f"{row.name} ({row.of})" if row.of else row.name,
        f"{_short(row.value)} {row.unit}".strip(),
        _judged(row.value, row.bar),
        beside,
        "" if row.ratio is None else _short(row.ratio),
        "" if row.ratio is None else _judged(row.ratio, row.ratio_bar),
    ]


def _judged(value: float, bar: str) -> str:
    return bar if not bar or holds(value, bar) else f"{bar} MISSED"


def _short(value: float) -> str:
    """Return a number with three digits that count.

    >>> _short(0.02512), _short(106.2), _short(1234.5), _short(0.0), _short(2.0)
    ('0.0251', '106', '1,234', '0', '2')
    """
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
