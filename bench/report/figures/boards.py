"""Which figures a board and a suite have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.report import folds
from bench.report.figures.calibration import calibration_picture
from bench.report.figures.cost import cost_pictures
from bench.report.figures.curves import CurvesRead, training_pictures
from bench.report.figures.grid import grid_picture
from bench.report.figures.online import PublishedCurves, presentation_picture
from bench.report.figures.pairs import differences_picture
from bench.report.figures.panels import by_family
from bench.report.figures.probes import length_picture, weightings_pictures
from bench.report.figures.scores import score_picture
from bench.report.figures.style import Palette, Picture
from bench.results.boards import Board
from bench.results.pairs import BoardComparisons
from bench.store.checked import Problem

MOST = 40
"""Learners in a figure."""

OVER_SETTINGS = {"items": length_picture, "ways and shots": grid_picture}
"""By what the settings of a suite differ in."""


def board_pictures(
    board: Board,
    palette: Palette,
    problems: list[Problem],
    *,
    root: str | Path | None = None,
    compared: BoardComparisons | None = None,
    published: PublishedCurves | None = None,
    read: CurvesRead | None = None,
) -> list[Picture]:
    """The figures of one board, in the order of the page: how good, at which cost, then what is
    folded. Of more than `MOST` learners, the best.

    Args:
        board: what they are drawn from.
        palette: of the whole report.
        problems: what cannot be read is added to it.
        root: the results folder; without it there are no learning curves.
        compared: of this board; without it there is no matrix of paired differences.
        published: by label, (presentation, accuracy as a fraction).
        read: learning curves that were read already; what is read here is added.
    """
    shown = _best(board)
    presentations = presentation_picture(shown, palette, published or {})
    tradeoff, phases = cost_pictures(shown, palette)
    pairs = differences_picture(_among(compared, shown), palette) if compared else None
    training = []
    if root is not None:
        training = training_pictures(shown, palette, Path(root), problems, read)
    pictures: list[tuple[str, Picture | None]] = [
        ("", presentations),
        (folds.SCORES if presentations else "", score_picture(shown, palette)),
        ("", tradeoff),
        (folds.PAIRS, pairs),
        *((folds.TRAINING, picture) for picture in training),
        (folds.COST, phases),
        (folds.CALIBRATION, calibration_picture(shown, palette)),
        *((folds.HEADS, picture) for picture in weightings_pictures(shown, problems)),
    ]
    note = f" The best {MOST} of {len(board.entries)} learners." if shown is not board else ""
    return [replace(p, caption=p.caption + note, fold=fold) for fold, p in pictures if p]


def suite_pictures(boards: Sequence[Board], palette: Palette) -> list[Picture]:
    """The figures about all settings of a suite.

    Args:
        boards: all boards of the suite: its settings, budgets and versions.
        palette: of the whole report.
    """
    groups: dict[Any, list[Board]] = defaultdict(list)
    for board in boards:
        if board.cells[0].test_dataset is None:  # on other data the same shots are another question
            groups[board.suite_version, board.budget].append(_best(board))
    pictures = [
        draw([board for board in own if board.kind.settings == settings], palette)
        for own in groups.values()
        for settings, draw in OVER_SETTINGS.items()
    ]
    return [picture for picture in pictures if picture]


def _best(board: Board) -> Board:
    if len(board.entries) <= MOST:
        return board
    return replace(board, families=by_family(board.scored[:MOST]))


def _among(compared: BoardComparisons, shown: Board) -> BoardComparisons:
    if shown is compared.board:
        return compared
    there = set(shown.entries)
    return replace(
        compared,
        compared=[entry for entry in compared.compared if entry in there],
        pairs=[p for p in compared.pairs if p.a in there and p.b in there],
        left_out=[(entry, why) for entry, why in compared.left_out if entry in there],
    )
