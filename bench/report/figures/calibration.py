"""Calibration: how often an answer is right that was given with some confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report import summary
from bench.report.figures.panels import by_family, legend_of, looks, names, panels_of_families
from bench.report.figures.style import (
    CONTEXT,
    RULE,
    Palette,
    Picture,
    picture_name,
    style,
)
from bench.results.boards import Board, Entry
from bench.results.formats import number
from bench.results.rows import Reliability

FEWEST = 20
"""A bin of fewer answers says little, and is left out."""


def reliability(entry: Entry) -> NDArray[np.float64] | None:
    """(3, bins) mean confidence, accuracy and answers of the bins that are filled, over all seeds.

    None where no cell has stored any, as those of older versions, or no bin is filled.
    """
    tables = _tables(entry)
    if not tables:
        return None
    same = [table for table in tables if table.shape == tables[0].shape]
    answers = np.sum([table[2] for table in same], axis=0)
    means = np.sum([table[:2] * table[2] for table in same], axis=0) / np.maximum(answers, 1)
    found: NDArray[np.float64] = np.vstack([means, answers])[:, answers >= FEWEST]
    return found if found.size else None


def _tables(entry: Entry) -> list[NDArray[np.float64]]:
    """(3, bins) confidence, accuracy and answers, of each seed that has stored them."""
    return [table for row in entry.done if (table := _table(row.reliability)) is not None]


def _table(stored: Reliability | None) -> NDArray[np.float64] | None:
    if stored is None:
        return None
    columns = [stored.confidence, stored.accuracy, stored.answers]
    if not all(columns) or len({len(column) for column in columns}) != 1:
        return None
    return np.nan_to_num(np.array(columns, dtype=float))  # null: a mean of nothing


def calibration_picture(board: Board, palette: Palette) -> Picture | None:
    """Reliability diagrams; None where nobody has stored what they need."""
    curves = [(e, curve) for e in board.entries if (curve := reliability(e)) is not None]
    if not curves:
        return None
    errors = ", ".join(f"{entry.label} ECE {number(_ece(entry))}" for entry, _ in curves)
    with_curve = {entry for entry, _ in curves}
    what = board.kind.answers
    lacking: dict[str, list[str]] = {"Not stored": [], f"Too few {what}": []}
    for entry in board.entries:
        if entry not in with_curve:
            lacking[f"Too few {what}" if _tables(entry) else "Not stored"].append(entry.label)
    lacks = "".join(f" {why} of {', '.join(own)}." for why, own in lacking.items() if own)
    return Picture(
        picture_name(board, "calibration"),
        f"Fraction of right answers by confidence. {errors}",
        f"Reliability diagrams: how many {what} of a confidence are right, in 15 bins (those of "
        f"fewer than {FEWEST} {what} left out); on the diagonal confidence is accuracy, below it "
        f"too high. ECE: expected calibration error.{lacks} {summary.board_name(board)}.",
        lambda: calibration_figure(curves, palette),
        list(by_family(entry for entry, _ in curves)),
    )


def _ece(entry: Entry) -> float | None:
    return entry.mean(lambda row: row.score("ece").mean)


def calibration_figure(
    curves: Sequence[tuple[Entry, NDArray[np.float64]]], palette: Palette
) -> Figure:
    """A panel per family, the ECE beside each name."""
    look = looks([entry for entry, _ in curves], palette)
    families = by_family(entry for entry, _ in curves)
    with style():
        sizes = {family: 1 + len(members) for family, members in families.items()}
        figure, panels, _ = panels_of_families(sizes, palette, "confidence, %", "right, %")
        for family, axes in panels.items():
            own = [(entry, curve) for entry, curve in curves if entry.family == family]
            axes.plot([0, 100], [0, 100], color=CONTEXT, linewidth=0.8, zorder=1)
            for entry, (confidence, accuracy, _) in own:
                axes.plot(100 * confidence, 100 * accuracy, **look[entry], zorder=2)
            axes.set(xlim=(0, 103), ylim=(-2, 103))
            axes.grid(color=RULE, linewidth=0.6)
            members = families[family]
            labels = [
                (f"{number(_ece(entry))}  {name}", look[entry])
                for entry, name in zip(members, names(members, 22), strict=True)
            ]
            legend_of(axes, labels, below=True, title="ECE")
        return figure
