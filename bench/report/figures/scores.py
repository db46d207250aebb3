"""The score of each learner."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.report import summary
from bench.report.figures.panels import hollow_note, rows_of_learners
from bench.report.figures.style import (
    INK,
    Palette,
    Picture,
    beside,
    picture_name,
    style,
)
from bench.results.boards import Board
from bench.results.written import score


def score_picture(board: Board, palette: Palette) -> Picture | None:
    """What the board ranks by, by learner; None where nobody has a score."""
    scored = [entry for entry in board.entries if entry.score(board.metric) is not None]
    if not scored:
        return None
    what, over = board.metric.title, board.kind.episodes
    texts = ", ".join(summary.labelled_score(board, entry) for entry in scored)
    return Picture(
        picture_name(board, "scores"),
        f"{what} by learner. {texts}",
        f"{what} with 95 % intervals over {over}; {summary.board_name(board)}."
        + hollow_note(scored),
        lambda: score_figure(board, palette),
        list(board.families),
    )


def score_figure(board: Board, palette: Palette) -> Figure:
    """A dot and its 95 % interval per learner, family by family."""
    metric, scale = board.metric, board.metric.scale
    scored = [entry for entry in board.entries if entry.score(metric) is not None]
    with style():
        figure, (axes,), placed = rows_of_learners(scored, palette, 1, 40)
        for entry, y in placed:
            axes.errorbar(
                scale * (entry.score(metric) or 0.0), y,
                xerr=scale * (entry.half_width(metric) or 0.0),
                color=palette.light(entry.family), marker=palette.marker(entry.family),
                markersize=4 if entry.complete else 6, linewidth=1.4, capsize=0,
                fillstyle="full" if entry.complete else "none",
            )  # fmt: skip
            beside(axes, 1.02, y, score(board, entry), INK)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(metric.axis(board.kind.episode))
        low, high = axes.get_xlim()
        if metric.in_percent:
            axes.set_xlim(max(low, 0), min(high, 100.5))
        return figure
