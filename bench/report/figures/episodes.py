"""An episode as a learner answered it, and which classes it takes for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report.figures.style import (
    FAINT,
    INK,
    WIDTH,
    Palette,
    Picture,
    plain_text,
    short,
    shortened,
    slug,
    style,
)
from bench.results.answers import Confusion, ShownEpisode
from bench.results.rows import CellRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 10
MOST_QUERIES = 30
"""Of an episode; the wrong ones first."""
CELL = WIDTH / COLUMNS
WRONG = "#b3261e"


def episode_picture(row: CellRow, episode: ShownEpisode, palette: Palette) -> Picture | None:
    """Support images, query images, answers and confidence; None where no images are stored."""
    if not len(episode.query_x):
        return None
    wrong = sum(not answer.right for answer in episode.answers)
    order = _shown(episode)
    part = f" {len(order)} of {len(episode.answers)} are shown." * (
        len(order) < len(episode.answers)
    )
    texts = [
        f"query {k} is {episode.answers[k].label}, answered {episode.answers[k].choice} "
        f"({episode.answers[k].confidence:.0%})"
        for k in order
    ]
    classes = ", ".join(f"{k} {name}" for k, name in enumerate(episode.names))
    return Picture(
        slug(row.suite, row.setting, row.learner, f"episode {episode.number}"),
        f"Episode {episode.number}. Classes: {classes}. {'; '.join(texts)}.",
        f"Episode {episode.number} of {row.suite}, {row.setting}, as {row.learner} (seed "
        f"{row.seed}) answered it: the support set with its labels, then the queries with the "
        f"answer and its confidence; {wrong} of {len(episode.answers)} wrong, with the right "
        f"label in brackets.{part}",
        lambda: episode_figure(episode),
        [],
    )


def _shown(episode: ShownEpisode) -> list[int]:
    """Queries: all, or of many the wrong ones first."""
    ranked = sorted(range(len(episode.answers)), key=lambda k: episode.answers[k].right)
    return sorted(ranked[:MOST_QUERIES])


def episode_figure(episode: ShownEpisode) -> Figure:
    """A grid of the support set above one of the queries."""
    queries = _shown(episode)
    by_label = sorted(range(len(episode.support_y)), key=lambda k: episode.support_y[k])
    by_label = by_label[: 5 * COLUMNS]
    rows = [-(-len(found) // COLUMNS) for found in (by_label, queries)]
    with style():
        figure = Figure(figsize=(WIDTH, (CELL + 0.2) * sum(rows) + 0.5))
        grid = figure.subplots(sum(rows), COLUMNS, squeeze=False)
        figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.25 / figure.get_figheight(), 0.1, 0.35)
        for axes in grid.flat:
            axes.set_visible(False)
        for place, k in enumerate(by_label):
            _image(grid[: rows[0]].flat[place], episode.support_x[k])
            _title(grid[: rows[0]].flat[place], f"{episode.support_y[k]}", FAINT)
        for place, k in enumerate(queries):
            axes, answer = grid[rows[0] :].flat[place], episode.answers[k]
            _image(axes, episode.query_x[k])
            right = "" if answer.right else f" ({answer.label})"
            text = f"{answer.choice}{right} {answer.confidence:.0%}"
            _title(axes, text, INK if answer.right else WRONG)
        return figure


def _image(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.set_visible(True)
    pixels: NDArray[Any] = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set(xticks=[], yticks=[])


def _title(axes: Axes, text: str, color: str) -> None:
    axes.set_title(text, fontsize=7, color=color, pad=2)


def confusion_picture(row: CellRow, found: Confusion) -> Picture | None:
    """Which classes are taken for which; None for fewer than two."""
    if len(found.names) < 2:
        return None
    off = np.where(np.eye(len(found.names), dtype=bool), np.nan, found.shares)
    worst = sorted(((off[i, j], i, j) for i, j in np.argwhere(off > 0).tolist()), reverse=True)[:10]
    texts = [f"{found.names[i]} for {found.names[j]} {share:.0%}" for share, i, j in worst]
    return Picture(
        slug(row.suite, row.setting, row.learner, "confusion"),
        f"Confusion matrix of {len(found.names)} classes. Most often taken for another: "
        f"{'; '.join(texts) or 'none'}.",
        f"Which classes {row.learner} takes for which on {row.suite}, {row.setting}: of the "
        "answers that should have been the row while the column was there too, the share that "
        f"was the column; the {len(found.names)} classes that are mistaken most often. Empty: the "
        "two never met.",
        lambda: confusion_figure(found),
        [],
    )


def confusion_figure(found: Confusion) -> Figure:
    """Rows are what was right, columns what was answered."""
    n = len(found.names)
    with style():
        figure = Figure(figsize=(WIDTH, 2.2 + 0.19 * n), layout="constrained")
        axes = figure.subplots()
        masked = np.ma.masked_invalid(found.shares)
        mesh = axes.pcolormesh(masked, cmap="cividis", vmin=0, vmax=1)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        labels = shortened([short(name, 60) for name in found.names], 24)
        axes.set_xticks(np.arange(n) + 0.5, labels, rotation=90, fontsize=6.5)
        axes.set_yticks(np.arange(n) + 0.5, labels, fontsize=6.5)
        axes.tick_params(length=0)
        plain_text([*axes.get_xticklabels(), *axes.get_yticklabels()])
        axes.set_xlabel("answered")
        axes.set_ylabel("right")
        bar = figure.colorbar(mesh, ax=axes, shrink=0.5, label="share of answers")
        bar.outline.set_visible(False)
        return figure
