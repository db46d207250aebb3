"""A learner against each other one, on every board that both stand on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.report.matrix import longest
from bench.results.boards import Board, Entry, family_order
from bench.results.pairs import BoardComparisons, Comparison

MOST_BOARDS = 12
"""Columns; the first of more."""


class Against(NamedTuple):
    """The learner less another one on a board."""

    text: str
    """``+1.72 ± 0.41``."""
    value: float
    told_apart: bool
    entry: Entry
    """The other one."""


class Column(NamedTuple):
    """A board, and which of its entries the learner is."""

    board: Board
    entry: Entry
    several: bool
    """The learner is there with several sets of options."""


@dataclass(frozen=True)
class Opponents:
    """The table."""

    columns: list[Column]
    families: dict[str, dict[str, list[Against | None]]]
    """By family and label of the other one, a cell for each column."""
    left_out: int
    """Columns beyond `MOST_BOARDS`."""
    about_weights: bool
    """Some of it speaks of trained weights alone: there are too few seeds."""

    @property
    def entries(self) -> list[Entry]:
        """Both sides of all pairs."""
        cells = [cell for rows in self.families.values() for row in rows.values() for cell in row]
        return [column.entry for column in self.columns] + [cell.entry for cell in cells if cell]


def opponents(
    own: Sequence[tuple[Board, Entry]], compared: Mapping[int, BoardComparisons]
) -> Opponents | None:
    """The table of a learner; None where nothing can be compared.

    Args:
        own: where it stands.
        compared: the pairs of each board by its id.
    """
    shown = {id(board) for board in longest([board for board, _ in own])}
    times: dict[int, int] = defaultdict(int)
    for board, _ in own:
        times[id(board)] += 1
    columns = [
        Column(board, entry, times[id(board)] > 1)
        for board, entry in own
        if id(board) in shown and entry in compared[id(board)].compared
    ]
    found: dict[str, dict[str, list[Against | None]]] = defaultdict(dict)
    weights = False
    for place, column in enumerate(columns[:MOST_BOARDS]):
        for pair in compared[id(column.board)].pairs:
            if column.entry not in (pair.a, pair.b):
                continue
            other = pair.b if pair.a == column.entry else pair.a
            cells = found[other.family].setdefault(other.label, [None] * len(columns[:MOST_BOARDS]))
            cells[place] = _against(column, pair, other)
            weights |= pair.about == "weights"
    if not found:
        return None
    families = {family: dict(sorted(found[family].items())) for family in family_order(found)}
    left_out = max(0, len(columns) - MOST_BOARDS)
    return Opponents(columns[:MOST_BOARDS], families, left_out, weights)


def _against(column: Column, pair: Comparison, other: Entry) -> Against:
    metric = column.board.metric
    mean = pair.mean if pair.a == column.entry else -pair.mean
    text = metric.write_difference(mean, "+").replace("-", "\N{MINUS SIGN}")
    if pair.ci95 is not None:
        text += f" ± {metric.write_difference(pair.ci95)}"
    return Against(text, mean, pair.told_apart, other)
