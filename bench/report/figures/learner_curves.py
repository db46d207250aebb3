"""A learner's learning curves wherever it was trained, in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import seaborn as sns
from matplotlib.figure import Figure

from bench.report.figures.curves import (
    CurvesRead,
    Trained,
    course,
    lines,
    markers_apart,
    spendings,
    trained_learners,
)
from bench.report.figures.panels import legend_of, log_axis
from bench.report.figures.style import (
    INK,
    RULE,
    WIDTH,
    Palette,
    Picture,
    line_style,
    shortened,
    slug,
    style,
)
from bench.results.boards import Board, Entry
from bench.store.checked import Problem

MOST = 9
"""Lines, as there are markers; the first of more."""


class Curve(NamedTuple):
    """The trainings of a learner for one board or several."""

    label: str
    trained: Trained


def learner_curves(
    name: str,
    own: Sequence[tuple[Board, Entry]],
    palette: Palette,
    root: Path,
    problems: list[Problem],
    read: CurvesRead,
) -> Picture | None:
    """All learning curves of a learner; None where none is stored.

    Args:
        name: of the learner.
        own: where it stands; its trainings are drawn once, whatever boards they serve.
        palette: of the report.
        root: the results folder.
        problems: damaged files are added to it.
        read: curves that were read already; what is read here is added.
    """
    found = _curves(own, root, problems, read)
    if not found:
        return None
    shown, family = found[:MOST], own[0][1].family
    more = f" The first {MOST} of {len(found)}." if len(found) > MOST else ""
    what = " and ".join(_by_measure(shown))
    return Picture(
        slug("learning-curves-of", name),
        f"Meta-validation {what} against examples seen and meta-training time. "
        + "; ".join(course(curve.trained, curve.label) for curve in shown),
        f"Learning curves of {name}: meta-validation {what} against the examples seen and the "
        "time of meta-training (without meta-validation), of the task that it was meta-trained "
        "with; a line per seed, from six on the median and a band from the lowest to the highest "
        f"of those that still train.{more}",
        lambda: learner_curves_figure(shown, palette),
        [family],
    )


def _curves(
    own: Sequence[tuple[Board, Entry]], root: Path, problems: list[Problem], read: CurvesRead
) -> list[Curve]:
    seen: set[frozenset[str | None]] = set()
    parts: list[tuple[str, ...]] = []
    found = []
    for board, entry in own:
        trainings = frozenset(row.training for row in entry.cells)
        if trainings in seen:
            continue
        seen.add(trainings)
        for trained in trained_learners([entry], board.metric, root, problems, read):
            found.append(trained)
            plain = entry.label == entry.cells[0].learner_name
            options = "" if plain else entry.label
            parts.append((board.suite, board.setting, board.budget, options))
    return [Curve(*pair) for pair in zip(_told_apart(parts), found, strict=True)]


def _told_apart(parts: Sequence[tuple[str, ...]]) -> list[str]:
    """As few of what differs between them as tells all apart, or the first part; numbered where
    nothing does."""
    differ = [place for place, own in enumerate(zip(*parts, strict=True)) if len(set(own)) > 1]
    texts = [own[0] for own in parts]
    for most in range(len(differ) + 1):
        kept = differ[:most] or [0]
        texts = [", ".join(own[place] for place in kept if own[place]) for own in parts]
        if len(set(texts)) == len(texts):
            return texts
    return [f"{text}, {number}" for number, text in zip(count(1), texts, strict=False)]


def _by_measure(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    found: dict[str, list[Curve]] = {}
    for curve in curves:
        found.setdefault(curve.trained.metric.measure.heading, []).append(curve)
    return found


def learner_curves_figure(curves: Sequence[Curve], palette: Palette) -> Figure:
    """A row per measure, against examples and against time."""
    rows = _by_measure(curves)
    spent_on = spendings([curve.trained for curve in curves])
    family = curves[0].trained.entry.family
    place = {id(curve): number for number, curve in enumerate(curves)}
    with style():
        figure = Figure(figsize=(WIDTH, 0.5 + 1.9 * len(rows)), layout="constrained")
        panels = figure.subplots(
            len(rows), len(spent_on), sharex="col", sharey="row", squeeze=False
        )
        for own, row in zip(rows.values(), panels, strict=True):
            looks = [line_style(palette, family, place[id(curve)]) for curve in own]
            for axes, (spent, _) in zip(row, spent_on.values(), strict=True):
                for curve, look in zip(own, looks, strict=True):
                    apart = markers_apart(curve.trained)
                    lines(axes, curve.trained, spent, **look, markevery=apart)
                axes.grid(axis="y", color=RULE, linewidth=0.6)
                sns.despine(ax=axes)
            row[0].set_ylabel(own[0].trained.metric.heading, color=INK)
            legend_of(row[-1], zip(shortened([c.label for c in own], 28), looks, strict=True))
        for axes, (name, (spent, text)) in zip(panels[-1], spent_on.items(), strict=True):
            axes.set_xlabel(name)
            points = [p for c in curves for curve in c.trained.curves for p in curve]
            log_axis(axes, [spent(point) for point in points], text, pad=0.07)
        return figure
