"""What a part of the benchmarks is: rows that are measured, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from bench.api.errors import BenchError

Row = dict[str, Any]
"""What was measured, as JSON."""
Measurement = tuple[str, Callable[[], Row]]
"""The name of a row, and what measures it."""


class SkippedError(BenchError):
    """A row cannot be measured here, and why."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a part."""

    device: torch.device
    repeats: int
    """Calls that a median is of."""
    small: bool = False
    """Tiny shapes: whether all works."""
    compiled: Literal["none", "few", "all"] = "few"
    """Which settings are compiled too: each takes a minute or more."""
    peaks: Mapping[str, float] = field(default_factory=dict)
    """Floating-point operations per second of a large product, by precision."""


@dataclass(frozen=True)
class Part:
    """A part of the benchmarks.

    Attributes:
        title: a heading.
        about: what is measured, in a few sentences, for who reads the table.
        rows: what is to be measured, one after the other.
        columns: headings of the table and what stands below them, of a row; a column that has
            nothing in any row is left out.
        draw: makes a picture of the rows on matplotlib's axes.
    """

    title: str
    about: str
    rows: Callable[[Asked], Iterator[Measurement]]
    columns: Mapping[str, Callable[[Row], str]]
    draw: Callable[[Any, Mapping[str, Row]], None]

    def cells(self, row: Row) -> dict[str, str]:
        """A row as text, by heading."""
        return {heading: text(row) for heading, text in self.columns.items()}


# -- how rows are said ----------------------------------------------------------------------------

NOTHING = "–"


def at(row: Row, *keys: str) -> Any:
    """What stands there; None: nothing."""
    found: Any = row
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


Cell = Callable[..., Callable[[Row], str]]
"""Of the keys of a value: what writes it as a cell, or that there is none."""


def _cell(write: Callable[[Any], str]) -> Cell:
    def of(*keys: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            value = at(row, *keys)
            return NOTHING if value is None else write(value)

        return text

    return of


def significant(value: float) -> str:
    """Three digits, and those before the point."""
    if value == 0:
        return "0"
    size = abs(value)
    places = 0 if size >= 99.5 else 1 if size >= 9.95 else 2 if size >= 0.995 else 3
    return f"{value:,.{places}f}"


milliseconds = _cell(lambda seconds: significant(1000 * seconds))
times = _cell(lambda ratio: f"{significant(ratio)}×")
percent = _cell(lambda fraction: f"{significant(100 * fraction)} %")
mebibytes = _cell(lambda count: f"{count / 2**20:,.0f}")
number = _cell(lambda value: value if isinstance(value, str) else significant(value))


def bars(
    axes: Any, rows: Mapping[str, Row], series: Sequence[str], value: Callable[[Row, str], Any]
) -> None:
    """Horizontal bars, for each row one of each series; what a row lacks is left out."""
    known = [name for name in series if any(value(row, name) is not None for row in rows.values())]
    height = 0.8 / max(1, len(known))
    for place, name in enumerate(known):
        found = [(i, value(row, name)) for i, row in enumerate(rows.values())]
        found = [(i, number) for i, number in found if number is not None]
        axes.barh(
            [i + (place - (len(known) - 1) / 2) * height for i, _ in found],
            [number for _, number in found],
            height,
            label=name,
        )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    if len(known) > 1:
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
