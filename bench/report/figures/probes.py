"""Memory probes: errors by length, and where the heads were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.report import summary
from bench.report.figures.panels import (
    Line,
    by_family,
    error_bars,
    hollow_note,
    lines_over,
    looks,
    names,
)
from bench.report.figures.style import (
    CONTEXT,
    RULE,
    WIDTH,
    Palette,
    Picture,
    legend_beside,
    picture_name,
    short,
    slug,
    style,
)
from bench.results.boards import Board, Entry, family_order
from bench.results.rows import CellRow
from bench.store.checked import Problem
from bench.store.files import FloatArray, Weightings, weightings

AT_A_ROW = 0.1
"""A head with this weight on a row of the memory counts as having been there."""


def length_picture(boards: Sequence[Board], palette: Palette) -> Picture | None:
    """Wrong bits by the number of items; None for a single length.

    Args:
        boards: the settings of one memory probe at one budget.
    """
    if len({entry.common(_items) for _, _, entry in _measured(boards)}) < 2:
        return None
    texts = [
        f"{board.setting}: "
        + ", ".join(summary.labelled_score(board, entry) for entry in board.scored)
        for board in boards
    ]
    first = boards[0]
    return Picture(
        slug(first.suite, first.budget, "lengths"),
        "Wrong bits by items. " + "; ".join(texts),
        "Wrong bits per sequence by its items, with 95 % intervals over sequences; band: "
        f"the items of meta-training; {first.suite}, budget {first.budget}."
        + hollow_note(entry for _, _, entry in _measured(boards)),
        lambda: length_figure(boards, palette),
        family_order(family for board in boards for family in board.families),
    )


def _measured(boards: Sequence[Board]) -> list[tuple[Line, Board, Entry]]:
    return [
        (line, board, entry)
        for line, board, entry in lines_over(boards)
        if entry.common(_items) is not None and entry.common(_bits) is not None
    ]


def _items(row: CellRow) -> int | None:
    return row.items


def _bits(row: CellRow) -> int | None:
    return row.bits


def _is_range(items: Any) -> bool:
    return isinstance(items, list) and [type(number) for number in items] == [int, int]


def length_figure(boards: Sequence[Board], palette: Palette) -> Figure:
    """A line per learner."""
    lines: dict[Line, list[tuple[int, float, float, bool]]] = defaultdict(list)
    entries: dict[Line, Entry] = {}
    chance: dict[int, float] = {}
    trained: set[tuple[int, ...]] = set()
    for line, board, entry in _measured(boards):
        items, wrong = entry.common(_items) or 0, entry.score(board.metric) or 0.0
        half = entry.half_width(board.metric) or 0.0
        lines[line].append((items, wrong, half, entry.complete))
        if line not in entries or entries[line].complete:  # the legend names missing seeds
            entries[line] = entry
        chance[items] = (entry.common(_bits) or 0) / 2
        ranges = (row.training_items for row in entry.done)
        trained |= {tuple(r) for r in ranges if _is_range(r)}
    with style():
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for low, high in sorted(trained):
            axes.axvspan(low, high, color=RULE, alpha=0.5, linewidth=0, label="meta-training")
        axes.plot(*zip(*sorted(chance.items()), strict=True), color=CONTEXT, label="chance")
        found = sorted(entries.values(), key=lambda entry: entry.label)
        look = looks(found, palette)
        ordered = [entry for members in by_family(found).values() for entry in members]
        of_entry = {entry: lines[line] for line, entry in entries.items()}
        for entry, name in zip(ordered, names(ordered, 40), strict=True):
            error_bars(axes, of_entry[entry], look[entry] | {"label": name})
        axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        axes.set_ylim(bottom=-0.02)  # room for the markers of learners without an error
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("items in a sequence")
        axes.set_ylabel("wrong bits per sequence")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        legend_beside(axes, bbox_to_anchor=(1.01, 1.02), fontsize=8)
        sns.despine(ax=axes)
        return figure


def weightings_pictures(board: Board, problems: list[Problem]) -> list[Picture]:
    """Where the heads of each learner were in the board's first sequence.

    What cannot be read is added to `problems`.
    """
    pictures = []
    for entry in board.entries:
        for row in entry.done[:1]:
            try:
                shown = weightings(row.path)
            except BenchError as error:
                problems.append(Problem(row.path, str(error)))
                continue
            if shown is not None:
                what = f"{entry.label}, seed {row.seed}: a test sequence"
                pictures.append(_weightings_picture(board, entry.label, what, shown))
    return pictures


def _weightings_picture(board: Board, label: str, what: str, shown: Weightings) -> Picture:
    return Picture(
        picture_name(board, f"heads {label}"),
        f"{what} of {len(shown.mask)} steps, its answer, and the heads {', '.join(shown.heads)}.",
        f"{what}, its answer, and where in the memory the heads were, step by step "
        f"(white is 1; the longest stretch of rows that no head went to is left out); "
        f"{summary.board_name(board)}.",
        lambda: weightings_figure(shown),
        [],
    )


def weightings_figure(shown: Weightings) -> Figure:
    """A sequence of a memory probe, the answer, and where the heads were, as in Graves et al. 2014,
    Figure 6: time runs to the right, white is 1."""
    due = shown.mask[:, None]
    panels = {"input": shown.x, "target": shown.target * due, "answer": shown.answer * due}
    for name, weights in shown.heads.items():
        # The same rows for all heads of a memory, so that one sees what was written read.
        others = [head for head in shown.heads.values() if head.shape == weights.shape]
        panels[name] = weights[:, rows_used(others)]
    heights = [min(0.5 + 0.012 * panel.shape[1], 1.3) for panel in panels.values()]
    with style():
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.5), layout="constrained")
        columns = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights)
        for axes, (name, panel) in zip(columns, panels.items(), strict=True):
            axes.imshow(panel.T, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="none")
            axes.set_yticks([])
            axes.set_ylabel(short(name, 20), rotation=0, ha="right", va="center", parse_math=False)
            axes.tick_params(bottom=axes is columns[-1])
        columns[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        columns[-1].set_xlabel("time step")
        return figure


def rows_used(heads: Iterable[FloatArray]) -> NDArray[np.int64]:
    """The rows (of a memory that is a circle) without the longest stretch where no head was."""
    weights = np.concatenate(list(heads))  # (steps of all heads, rows)
    rows = weights.shape[1]
    used = np.flatnonzero(weights.max(axis=0) > AT_A_ROW)
    if not len(used):
        return np.arange(rows)
    gaps = np.diff(used, prepend=used[-1] - rows)  # before each of them
    return (used[gaps.argmax()] + np.arange(rows + 1 - gaps.max())) % rows
