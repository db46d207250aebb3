"""What the papers report, and how far from it a board is.

A verdict (below, above, inside the interval) is due only where split, rotations of the test
classes, transduction and fine-tuning are known to be the same; elsewhere the difference in protocol
is named. It is a claim about a learner, and so takes `bench.results.pairs.ENOUGH_SEEDS` trainings
of what is trained, and includes the variance between them: of fewer only the difference is told.
How a learner was trained is no part of the test's protocol, and is named beside the verdict.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.results.boards import UNTRAINED, Board, Entry
from bench.results.one_figure import half_width_beside, speaks_of_learner
from bench.results.rows import CellRow

USUAL_BUDGETS = ("standard", "paper", UNTRAINED)
"""A figure after any other budget is not held against a paper's."""
OWN_SCHEDULES = ("paper", UNTRAINED)
"""Budgets after which a learner was trained as its paper says, or has nothing to train."""
OF_WEIGHTS = "of these trained weights"
"""In place of a verdict, where there are too few trainings for one."""
FILE = Path(__file__).with_name("published.toml")


class Published(BaseModel):
    """A row of a paper's table. Figures are percentages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learner: str
    protocol: str
    dataset: str | None = None
    source: str
    values: dict[str, float] = {}
    """By setting (``5way1shot``), or online by presentation (``2nd``)."""
    ci: dict[str, float] = {}
    """Half-widths of 95 % intervals, where the source prints them."""
    note: str = ""
    split: str | None = None
    split_is_benchmark: bool = False
    """Whether that split is a benchmark of its own (FC100), with which no other split compares."""
    test_rotations: bool | None = None
    transductive: bool | None = None
    fine_tuned: bool | None = None


@dataclass(frozen=True)
class Point:
    """One figure beside a measured one; all are fractions."""

    key: str
    """``5way1shot``, or ``2nd``."""
    measured: float
    published: float
    half_width: float | None
    """Of the 95 % interval of the difference between learners; None where there are too few
    trainings, or the measured figure has no interval. The paper's is taken for the figure of one
    training that varies as those here do; its interval over episodes is the printed one or, where
    it prints none, one as wide as ours and the rounding of its figure."""
    about: Literal["weights", "learners"] = "learners"
    """What the difference speaks of; see `bench.results.pairs`."""

    @property
    def difference(self) -> float:
        """Measured less published."""
        return self.measured - self.published

    @property
    def verdict(self) -> str:
        """Where the measured figure lies, if the protocols are the same."""
        if self.about == "weights":
            return OF_WEIGHTS
        if self.half_width is None:
            return "no interval"
        if abs(self.difference) <= self.half_width:
            return "inside the interval"
        return "above" if self.difference > 0 else "below"


@dataclass(frozen=True)
class Held:
    """A learner on a board, held against a paper's row."""

    entry: Entry
    published: Published
    points: list[Point]
    differences: list[str]
    """How the protocols of the test differ, or may differ; empty: they are the same."""

    @property
    def training(self) -> list[str]:
        """How the training differs from the paper's, as far as that is known."""
        budget = self.entry.done[0].budget
        if self.entry.untrained or budget in OWN_SCHEDULES:
            return []
        return [f"budget {budget} in place of the paper's schedule"]

    def point(self, key: str) -> Point | None:
        """That of a key; None where there is none."""
        return next((point for point in self.points if point.key == key), None)


@cache
def published() -> tuple[Published, ...]:
    """All rows of ``published.toml``."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(Published(**row) for row in table["result"])


def hold_against_papers(board: Board) -> list[Held]:
    """What of a board has published figures, in the order of its entries."""
    held, rows = [], _rows(board)
    for entry in board.entries:
        for row in rows:
            if row.learner != entry.cells[0].learner_name or not entry.done:
                continue
            keys = board.kind.published_keys(board)
            points = [point for key in keys if (point := _point(entry, row, key, board))]
            if points:
                differences = list(_differences(entry.done[0], row, entry.transductive))
                held.append(Held(entry, row, points, differences))
    return held


def published_curves(board: Board) -> dict[str, list[tuple[int, float]]]:
    """Published accuracies by presentation, as fractions: those of the learners on an online board,
    and of the rows that no installed learner stands for (people)."""
    if not board.kind.series:
        return {}
    present = {entry.cells[0].learner_name for entry in board.entries if entry.done}
    keys = board.kind.published_keys(board)
    return {
        f"{row.learner}, published": [
            (keys.index(key) + 1, value / 100) for key, value in row.values.items() if key in keys
        ]
        for row in _rows(board)
        if row.learner in present or row.learner == "human"
    }


def _rows(board: Board) -> list[Published]:
    own = [row for row in board.cells if row.test_dataset is None]  # no paper has tested elsewhere
    datasets, splits = {row.dataset for row in own}, {row.split for row in own}
    protocol = board.cells[0].protocol
    return [
        row
        for row in published()
        if row.protocol == protocol
        and row.dataset in datasets
        and (not row.split_is_benchmark or row.split in splits)
    ]


def _point(entry: Entry, row: Published, key: str, board: Board) -> Point | None:
    if key not in row.values:
        return None
    measured, half = entry.score(board.metric), entry.half_width(board.metric)
    means = [row.score(board.metric.key).mean for row in entry.done]
    if board.kind.series:
        place = board.kind.published_keys(board).index(key)
        curve, halves = entry.curve(), entry.curve_half_widths()
        measured = curve[place] if place < len(curve) else None
        half = halves[place] if place < len(halves) else None
        curves = [cell.by_presentation for cell in entry.done if place < len(cell.by_presentation)]
        means = [curve[place].mean for curve in curves]
    if measured is None:
        return None
    trained = [mean for mean in means if mean is not None]
    printed = row.ci[key] / 100 if key in row.ci else None
    half = half_width_beside(entry, trained, half, printed)
    if half is not None and printed is None:
        half += _rounding(row, key)
    about: Literal["weights", "learners"] = (
        "learners" if speaks_of_learner(entry, trained) else "weights"
    )
    return Point(key, measured, row.values[key] / 100, half, about)


def _rounding(row: Published, key: str) -> float:
    """Half a unit of the last digit that is printed, as a fraction: 0.0005 for 98.8."""
    decimals = re.sub(r"^\d+\.?", "", f"{row.values[key]:g}")
    return 0.5 * 10.0 ** -len(decimals) / 100


def _differences(cell: CellRow, row: Published, transductive: bool) -> Iterator[str]:
    """In words; what the source does not state may differ, but for fine-tuning, which is rare."""
    if row.split is None:
        yield "split not stated"
    elif row.split != cell.split:
        yield f"split {row.split}, here {cell.split}"
    if row.test_rotations is None:
        yield "rotations of test classes not stated"
    elif row.test_rotations != cell.test_rotations:
        yield "rotated test classes" if row.test_rotations else "upright test classes"
    if row.transductive is None:
        yield "transduction not stated"
    elif row.transductive != transductive:
        yield "transductive" if row.transductive else "inductive, here transductive"
    if row.fine_tuned:
        yield "fine-tuned"
    if cell.learner != cell.learner_name:
        yield "other options here"
    if cell.budget not in USUAL_BUDGETS:
        yield f"budget {cell.budget} here"
