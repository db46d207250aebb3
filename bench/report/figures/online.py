"""The online protocol: accuracy by presentation of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from bench.report import summary
from bench.report.figures.panels import (
    by_family,
    legend_of,
    looks,
    names,
    panels_of_families,
)
from bench.report.figures.style import (
    CONTEXT,
    FAINT,
    INK,
    RULE,
    Palette,
    Picture,
    picture_name,
    short,
    style,
)
from bench.results.boards import Board
from bench.results.formats import ordinal, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PublishedCurves = Mapping[str, Sequence[tuple[int, float]]]
"""By label: (presentation, accuracy as a fraction)."""


def presentation_picture(
    board: Board, palette: Palette, published: PublishedCurves | None = None
) -> Picture | None:
    """Accuracy at the 1st, 2nd, ... presentation of a class; None where nobody has such a curve."""
    texts = [
        f"{entry.label} {', '.join(percent(value) for value in curve)}"
        for entry in board.entries
        if (curve := entry.curve())
    ]
    if not texts:
        return None
    curves_of_papers = published or {}
    texts += [
        f"{label} {', '.join(f'{percent(y)} at {ordinal(k)}' for k, y in points)}"
        for label, points in curves_of_papers.items()
    ]
    dashed = "grey and dashed: published; " if curves_of_papers else ""
    return Picture(
        picture_name(board, "presentations"),
        "Accuracy in percent by presentation of a class. " + "; ".join(texts),
        "Accuracy at the 1st, 2nd, … presentation of a class, a panel per family; grey: "
        f"the other families; {dashed}the short line: the highest honest accuracy at the "
        f"first presentation; {summary.board_name(board)}.",
        lambda: presentation_figure(board, palette, curves_of_papers),
        list(board.families),
    )


def presentation_figure(
    board: Board, palette: Palette, published: PublishedCurves | None = None
) -> Figure:
    """One panel per family; the other families' learners stand behind it in grey."""
    curves = [(entry, entry.curve()) for entry in board.entries]
    curves = [(entry, curve) for entry, curve in curves if curve]
    look = looks([entry for entry, _ in curves], palette)
    families = by_family(entry for entry, _ in curves)
    with style():
        sizes = {family: len(members) for family, members in families.items()}
        figure, panels, last = panels_of_families(
            sizes, palette, "presentation of a class", "accuracy, %"
        )
        for family, axes in panels.items():
            for entry, curve in curves:
                if entry.family != family:
                    _curve(axes, curve, color=CONTEXT, linewidth=0.8, zorder=1)
            own = [(entry, curve) for entry, curve in curves if entry.family == family]
            for entry, curve in own:
                _curve(axes, curve, **look[entry], zorder=2)
            for points in (published or {}).values():
                axes.plot(
                    [k for k, _ in points], [100 * y for _, y in points], color=FAINT,
                    linewidth=0.8, linestyle=(0, (4, 2)), zorder=1.5,
                )  # fmt: skip
            if board.ceiling is not None:
                axes.plot([0.7, 1.3], [100 * board.ceiling] * 2, color=INK, linewidth=1.2, zorder=3)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color=RULE, linewidth=0.6)
            own_looks = [look[entry] for entry in families[family]]
            named = zip(names(families[family], 25), own_looks, strict=True)
            legend_of(axes, named, below=True)
        for axes in last:
            _name(axes, published or {})
        return figure


def _name(axes: Axes, published: PublishedCurves) -> None:
    """Names published curves where they end, right of the axes."""
    ends = sorted((100 * points[-1][1], label) for label, points in published.items() if points)
    heights = apart([y for y, _ in ends], 5.5)
    for height, (y, label) in zip(heights, ends, strict=True):
        axes.annotate(
            short(label, 20), (1, y), (1.04, height), xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"), va="center", fontsize=7, color=FAINT,
            annotation_clip=False, parse_math=False,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights moved so that neighbours are at least `gap` apart, their middle kept."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    lift = (sum(moved) - sum(heights)) / max(len(moved), 1)
    return [height - lift for height in moved]


def _curve(axes: Axes, curve: Sequence[float | None], **look: Any) -> None:
    axes.plot(
        range(1, len(curve) + 1), [float("nan") if v is None else 100 * v for v in curve], **look
    )
