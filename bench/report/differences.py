"""The pairs of a board as a square table: row less column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.report import summary
from bench.report.figures.boards import MOST
from bench.report.figures.pairs import WEIGHTS_NOTE, signed, weights_only
from bench.report.figures.style import shortened
from bench.results.boards import Entry
from bench.results.pairs import BoardComparisons

HEAD = 28
"""Characters of a learner's name above a column."""
STEPS = 4
"""Tints from the smallest difference to the largest."""


class Difference(NamedTuple):
    """The row's learner less the column's."""

    text: str
    tint: str
    """``a1`` to ``a4`` where the row is ahead, ``b1`` to ``b4`` where it is behind; nothing where
    the two cannot be told apart."""
    weights: bool
    """Told apart are these trained weights alone, of too few seeds, and not the learners."""


@dataclass(frozen=True)
class Differences:
    """The table."""

    entries: Sequence[Entry]
    """The best first."""
    heads: list[str]
    """What they are called above the columns."""
    rows: list[list[Difference | None]]
    """None of a learner and itself."""
    caption: str
    note: str


def differences(compared: BoardComparisons) -> Differences | None:
    """The table of a board; None for fewer than two learners. Of more than `MOST`, the best."""
    if not compared.pairs:
        return None
    board, metric = compared.board, compared.board.metric
    entries = compared.compared[:MOST]
    place = {entry: k for k, entry in enumerate(entries)}
    pairs = [pair for pair in compared.pairs if pair.a in place and pair.b in place]
    largest = max((_size(pair.mean * metric.scale) for pair in pairs), default=0.0)
    rows: list[list[Difference | None]] = [[None] * len(entries) for _ in entries]
    for pair in pairs:
        a, b = place[pair.a], place[pair.b]
        for row, column, mean in ((a, b, pair.mean), (b, a, -pair.mean)):
            points = mean * metric.scale
            step = max(1, math.ceil(STEPS * _size(points) / largest)) if largest else 1
            tint = f"{'a' if metric.sign * mean > 0 else 'b'}{step}" if pair.told_apart else ""
            rows[row][column] = Difference(signed(points), tint, weights_only(pair))
    about = f" {WEIGHTS_NOTE}" if any(map(weights_only, pairs)) else ""
    without = [entry.label for entry, _ in compared.left_out]
    left = f" Not compared: {', '.join(without)}." if without else ""
    more = len(compared.compared) - len(entries)
    left += f" The best {MOST} of {len(compared.compared)} learners." if more else ""
    return Differences(
        entries,
        shortened([entry.label for entry in entries], HEAD),
        rows,
        f"Who can be told apart from whom: row less column in {metric.units}; "
        f"{summary.board_name(board)}.",
        "Paired over the episodes that both answered. Blue: the row is ahead, red: behind; grey "
        "and without a ground: the two cannot be told apart after Holm's adjustment over all pairs."
        + about
        + left,
    )


def _size(points: float) -> float:
    """Up to a point as it is, above by its logarithm."""
    size = abs(points)
    return size if size <= 1 else 1 + math.log10(size)
