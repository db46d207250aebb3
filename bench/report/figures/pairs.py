"""Who is ahead of whom: paired differences, and ranks over several datasets."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from bench.report import summary
from bench.report.figures.style import (
    FAINT,
    INK,
    WIDTH,
    Palette,
    Picture,
    beside,
    picture_name,
    plain_text,
    shortened,
    slug,
    style,
)
from bench.results.pairs import BoardComparisons, Comparison
from bench.results.ranks import CriticalDifference

SMALLEST = 5.0
"""Points; numbers in a matrix that would be smaller are left out."""
FEWEST_COLUMNS = 8
"""A smaller matrix leaves the rest of the width empty."""
LIGHTER = 0.5
"""How much of its colour a ground keeps that speaks of trained weights alone."""
ON_COLOUR = ("#1a1a1c", "#fefefe")
"""Text on a coloured ground, which is the same on a light and on a dark page."""

WEIGHTS_NOTE = (
    "Italic, on a lighter ground: of fewer than three seeds these trained weights are told apart, "
    "not the learners."
)


def weights_only(pair: Comparison) -> bool:
    """Told apart, and no claim about the learners: there are too few seeds."""
    return pair.told_apart and pair.about == "weights"


def differences_picture(compared: BoardComparisons, palette: Palette) -> Picture | None:
    """The paired-difference matrix; None for fewer than two learners."""
    if not compared.pairs:
        return None
    board = compared.board
    unit = board.metric.units
    texts = "; ".join(
        f"{pair.a.label} less {pair.b.label} {signed(_points(pair, compared))}"
        + (" (these weights)" if weights_only(pair) else "")
        + ("" if pair.told_apart else " (not told apart)")
        for pair in compared.pairs
    )
    without = [entry.label for entry, _ in compared.left_out]
    left = f" Not compared: {', '.join(without)}." if without else ""
    about = f" {WEIGHTS_NOTE}" if any(map(weights_only, compared.pairs)) else ""
    return Picture(
        picture_name(board, "differences"),
        f"Paired differences in {unit}. {texts}",
        f"Row less column in {unit}, paired over the episodes that both answered. Grey and without "
        "a ground: the two cannot be told apart after Holm's adjustment over all pairs."
        f"{about}{left} {summary.board_name(board)}.",
        lambda: differences_figure(compared, palette),
        list(board.families),
        on_page=False,
    )


def _points(pair: Comparison, compared: BoardComparisons) -> float:
    return pair.mean * compared.board.metric.scale


def signed(value: float) -> str:
    """Three figures or so, with a true minus."""
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:+.{decimals}f}".replace("-", "−")


def differences_figure(compared: BoardComparisons, palette: Palette) -> Figure:
    """A square: row less column, the best first."""
    entries = compared.compared
    n = len(entries)
    place = {entry: k for k, entry in enumerate(entries)}
    values = np.zeros((n, n))
    apart, weights = np.zeros((n, n), bool), np.zeros((n, n), bool)
    for pair in compared.pairs:
        i, j = place[pair.a], place[pair.b]
        values[i, j], values[j, i] = _points(pair, compared), -_points(pair, compared)
        apart[i, j] = apart[j, i] = pair.told_apart
        weights[i, j] = weights[j, i] = weights_only(pair)
    limit = max(float(np.abs(values).max()), 1.0)
    norm = SymLogNorm(linthresh=1.0, vmin=-limit, vmax=limit)
    # Blue is ahead, whatever the sign that stands for it.
    colours = sns.color_palette(
        "vlag_r" if compared.board.metric.sign > 0 else "vlag", as_cmap=True
    )
    shades = np.asarray(norm(values))
    shades = np.where(weights, 0.5 + (shades - 0.5) * LIGHTER, shades)
    grounds = colours(shades)
    labels = shortened([entry.label for entry in entries], 24)
    longest = 0.072 * max(map(len, labels))  # in inches, as are the next two
    room = (WIDTH - 0.25 - longest) / max(n, FEWEST_COLUMNS)
    height = 0.35 + longest + n * min(0.3, max(room, 0.2))
    size = min(8.0, 72 * room / 3.45)
    with style():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(np.ma.masked_where(~apart, shades), cmap=colours, vmin=0, vmax=1)
        numbers = ~np.eye(n, dtype=bool) if size >= SMALLEST else np.zeros((n, n), bool)
        for i, j in zip(*np.nonzero(numbers), strict=True):
            axes.text(
                j + 0.5, i + 0.52, signed(values[i, j]), fontsize=size, ha="center", va="center",
                color=readable_on(grounds[i, j]) if apart[i, j] else FAINT, in_layout=False,
                style="italic" if weights[i, j] else "normal",
            )  # fmt: skip
        axes.set(xlim=(0, max(n, FEWEST_COLUMNS)), ylim=(n, 0))
        axes.set_xticks(np.arange(n) + 0.5, labels, rotation=90)
        axes.set_yticks(np.arange(n) + 0.5, labels)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=8)
        for texts in (axes.get_xticklabels(), axes.get_yticklabels()):
            plain_text(texts)
            for text, entry in zip(texts, entries, strict=True):
                text.set_color(palette.light(entry.family))
        sns.despine(ax=axes, left=True, bottom=True)
        return figure


def readable_on(ground: tuple[float, ...]) -> str:
    """Which of `ON_COLOUR` contrasts more with a ground, by the relative luminance of WCAG 2."""
    linear = np.asarray(ground[:3]) ** 2.2
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    # (1 + 0.05) / (luminance + 0.05) against (luminance + 0.05) / (0 + 0.05)
    return ON_COLOUR[int((luminance + 0.05) ** 2 < 1.05 * 0.05)]


def ranks_picture(ranked: CriticalDifference, suites: str) -> Picture:
    """The critical-difference diagram.

    Args:
        ranked: mean ranks over six datasets or more.
        suites: what was ranked over, for the figure's name.
    """
    ranks = ", ".join(
        f"{learner} {rank:.2f}" for learner, rank in zip(ranked.learners, ranked.ranks, strict=True)
    )
    groups = "; ".join(", ".join(group) for group in ranked.groups)
    left = f" Not complete everywhere: {', '.join(ranked.left_out)}." if ranked.left_out else ""
    return Picture(
        slug(suites, ranked.budget, "ranks"),
        f"Mean ranks: {ranks}. Critical difference {ranked.critical_difference:.2f}. "
        f"Cannot be told apart: {groups or 'none'}.",
        f"Mean ranks over {len(ranked.datasets)} datasets, the best on the left (Demšar 2006). "
        "Bars join learners that lie closer than the critical difference (CD) of Nemenyi's test, "
        f"α = 0.05; Friedman's test: p = {ranked.p:.2g}; budget {ranked.budget}.{left}",
        lambda: ranks_figure(ranked),
        [],
    )


def ranks_figure(ranked: CriticalDifference) -> Figure:
    """The critical-difference diagram of Demšar 2006, Figure 1, the best on the left."""
    n = len(ranked.learners)
    half = -(-n // 2)
    place = dict(zip(ranked.learners, ranked.ranks, strict=True))
    bars = [group for group in ranked.groups if len(group) > 1]
    below = 0.6 + 0.28 * len(bars)  # rows that the bars take, in units of a learner's row
    with style():
        figure = Figure(figsize=(WIDTH, 0.7 + 0.22 * (below + half)), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(1, n), ylim=(below + half - 0.4, -1.4))
        axes.axis("off")
        axes.hlines(0, 1, n, INK, linewidth=1)
        for tick in range(1, n + 1):
            axes.vlines(tick, -0.18, 0, INK, linewidth=1)
            axes.text(tick, -0.3, str(tick), ha="center", va="bottom", fontsize=8)
        cd = min(ranked.critical_difference, float(n - 1))
        axes.hlines(-1.35, 1, 1 + cd, INK, linewidth=1.2, clip_on=False)
        for x in (1, 1 + cd):
            axes.vlines(x, -1.5, -1.2, INK, linewidth=1.2, clip_on=False)
        axes.annotate(
            f"CD = {ranked.critical_difference:.2f}", (1 + cd, -1.35), (5, 0), va="center",
            textcoords="offset points", fontsize=8, annotation_clip=False,
        )  # fmt: skip
        for level, group in enumerate(bars):
            own = [place[learner] for learner in group]
            height = 0.35 + 0.28 * level
            axes.hlines(height, min(own) - 0.04, max(own) + 0.04, INK, linewidth=3.2)
        named = shortened(ranked.learners, 30)
        for k, (name, rank) in enumerate(zip(named, ranked.ranks, strict=True)):
            left = k < half
            text = f"{name}  {rank:.2f}" if left else f" {rank:.2f}  {name}"
            y = below + (k if left else n - 1 - k)
            axes.plot([rank, rank, 1 if left else n], [0, y, y], color=FAINT, linewidth=0.8)
            beside(axes, 0 if left else 1, y, text, INK, left=left)
        return figure
