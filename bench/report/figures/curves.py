"""Meta-training: learning curves by the protocol's own measure, and what it takes to reach an
accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from bench.report import summary
from bench.report.figures.panels import (
    by_family,
    legend_of,
    log_axis,
    looks,
    rows_of_families,
    rows_of_learners,
    shared_legend,
)
from bench.report.figures.style import (
    CONTEXT,
    FAINT,
    Palette,
    Picture,
    beside,
    picture_name,
    shortened,
    style,
)
from bench.results.boards import Board, Entry
from bench.results.formats import count, duration
from bench.results.measures import ACCURACY, Metric
from bench.results.training_times import TrainedAt, training_places
from bench.results.written import listed
from bench.store.checked import Problem
from bench.store.files import Validation, learning_curve

TARGETS = (0.9, 0.95)
"""Meta-validation accuracies to be reached."""
MOST_LINES = 5
"""Of a learner with more seeds its median is drawn, in a band from the lowest to the highest."""
UNITS = (("h", 3600), ("min", 60), ("s", 1))


def compact(value: float) -> str:
    """``20k``, ``1M``."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


@dataclass(frozen=True)
class Trained:
    """A learner of a board with its learning curves, one per seed."""

    entry: Entry
    label: str
    """With the ways it was meta-trained with, where the board's learners differ in that."""
    curves: list[list[Validation]]
    metric: Metric = ACCURACY
    """Of the curves."""


Spent = Callable[[Validation], float]


def spendings(trained: Sequence[Trained]) -> dict[str, tuple[Spent, Callable[[float], str]]]:
    """What a training spends: a name with its unit, how to read it off, and how to write it."""
    longest = max(curve[-1].seconds for t in trained for curve in t.curves)
    # The figure is kept as a file too, where no caption says whose seconds do not compare.
    where = " (several places)" if len(_places(trained)) > 1 else ""
    unit, seconds = next((u, s) for u, s in UNITS if longest >= 2 * s or s == 1)
    return {
        "examples seen": (lambda point: point.examples, compact),
        f"meta-training time, {unit}{where}": (
            lambda point: point.seconds / seconds,
            "{:g}".format,
        ),
    }


def _places(trained: Sequence[Trained]) -> dict[TrainedAt, list[str]]:
    """Where they were trained, and who was there; as far as it is known."""
    found: dict[TrainedAt, list[str]] = {}
    for own in trained:
        for place in training_places(own.entry):
            found.setdefault(place, []).append(own.entry.label)
    return found


def trained_where(trained: Sequence[Trained]) -> str:
    """Whose times compare, for a caption; nothing where all were trained in one place."""
    places = _places(trained)
    if len(places) < 2:
        return ""
    told = "; ".join(f"{listed(labels)} on {place.label}" for place, labels in places.items())
    return f" Times compare within one place of meta-training only: {told}."


CurvesRead = dict[tuple[str, str], list[Validation]]
"""Curves by training and metric: a board and a learner's page show the same."""


def trained_learners(
    entries: Sequence[Entry],
    ranked_by: Metric,
    root: Path,
    problems: list[Problem],
    read: CurvesRead | None = None,
) -> list[Trained]:
    """The learners of a board that have learning curves: of its metric, or where nobody has any, as
    in older results, of accuracy.

    Args:
        entries: of the board.
        ranked_by: its metric.
        root: the results folder.
        problems: damaged files are added to it.
        read: what was read already; what is read here is added.
    """
    read = {} if read is None else read
    found: list[tuple[Entry, list[list[Validation]]]] = []
    for metric in (ranked_by, ACCURACY):
        for entry in entries:
            names = dict.fromkeys(row.training for row in entry.cells if row.training)
            curves = []
            for name in names:
                if (name, metric.key) not in read:
                    read[name, metric.key] = learning_curve(root, name, problems, metric.key)
                curves.append(read[name, metric.key])
            if any(curves):
                found.append((entry, [curve for curve in curves if curve]))
        if found:
            break
    ways = [entry.common(lambda row: row.training_ways) for entry, _ in found]
    several = len(set(ways)) > 1
    return [
        Trained(entry, f"{entry.label}, {n}-way" if several and n else entry.label, curves, metric)
        for (entry, curves), n in zip(found, ways, strict=True)
    ]


def reached(curve: Sequence[Validation], target: float) -> Validation | None:
    """The first meta-validation with at least this accuracy; None where there is none."""
    return next((point for point in curve if point.score >= target), None)


def training_pictures(
    board: Board,
    palette: Palette,
    root: Path,
    problems: list[Problem],
    read: CurvesRead | None = None,
) -> list[Picture]:
    """Learning curves, and of accuracies the time to a target; none where no curve is stored. For
    the last arguments see `trained_learners`."""
    trained = trained_learners(board.entries, board.metric, root, problems, read)
    if not trained:
        return []
    name = summary.board_name(board)
    lacking = [e.label for e in board.entries if not any(e is t.entry for t in trained)]
    lacks = f" No curve is stored of {', '.join(lacking)}." if lacking else ""
    unequal = any(t.label != t.entry.label for t in trained)
    task = (
        "Meta-validation is of the task that a learner was meta-trained with, and more ways are "
        "harder: compare learners of equal ways."
        if unequal
        else "Meta-validation is of the task that a learner was meta-trained with."
    )
    families, metric = list(by_family(t.entry for t in trained)), trained[0].metric
    what, where = metric.measure.heading, trained_where(trained)
    curves = Picture(
        picture_name(board, "learning-curves"),
        f"Meta-validation {what} against examples seen and meta-training time. "
        + "; ".join(course(own, own.label) for own in trained),
        f"Learning curves: meta-validation {what} against the examples seen and the time of "
        "meta-training (without meta-validation), a line per seed (from six on the median "
        "and a band from the lowest to the highest of those that still train); grey: the other "
        f"families. {task}{where}{lacks} {name}.",
        lambda: learning_figure(trained, palette),
        families,
    )
    if not metric.in_percent:
        return [curves]
    return [
        curves,
        Picture(
            picture_name(board, "time-to-accuracy"),
            "Meta-training up to a target accuracy. "
            + "; ".join(_arrival(t, target) for t in trained for target in TARGETS),
            f"What meta-training took up to the first meta-validation at {_targets()} or above, a "
            "mark per seed; an arrow stands where meta-training ended without reaching it. "
            f"{task}{where}{lacks} {name}.",
            lambda: target_figure(trained, palette),
            families,
        ),
    ]


def _targets() -> str:
    return " and ".join(f"{100 * target:g} %" for target in TARGETS)


def course(trained: Trained, label: str) -> str:
    """Of the first seed's curve the first and the last point, in words."""
    first, last = trained.curves[0][0], trained.curves[0][-1]
    write, suffix = trained.metric.write, trained.metric.suffix
    return (
        f"{label} from {write(first.score)} {suffix} after {count(first.examples)} "
        f"examples to {write(last.score)} {suffix} after {count(last.examples)} "
        f"({duration(last.seconds)})"
    )


def _arrival(trained: Trained, target: float) -> str:
    points = [reached(curve, target) for curve in trained.curves]
    texts = [
        f"{count(p.examples)} examples, {duration(p.seconds)}" if p else "never" for p in points
    ]
    return f"{trained.label} at {100 * target:g} %: {', '.join(texts)}"


def learning_figure(trained: Sequence[Trained], palette: Palette) -> Figure:
    """A row per family, against examples and against time; the other families in grey."""
    entries = [t.entry for t in trained]
    look = looks(entries, palette)
    spent_on = spendings(trained)
    families = {family: len(members) for family, members in by_family(entries).items()}
    with style():
        figure, rows = rows_of_families(families, palette, len(spent_on))
        for family, panels in rows.items():
            own = [t for t in trained if t.entry.family == family]
            others = [t for t in trained if t.entry.family != family]
            for axes, (spent, _) in zip(panels, spent_on.values(), strict=True):
                for t in others:
                    lines(axes, t, spent, color=CONTEXT, linewidth=0.6, zorder=1)
                for t in own:
                    lines(axes, t, spent, **look[t.entry], markevery=markers_apart(t), zorder=2)
            panels[0].set_ylabel(trained[0].metric.heading)
            own_names = shortened([t.label for t in own], 28)
            own_looks = [look[t.entry] for t in own]
            legend_of(panels[-1], zip(own_names, own_looks, strict=True))
        for axes, (name, (spent, text)) in zip(panels, spent_on.items(), strict=True):
            axes.set_xlabel(name)
            values = [spent(point) for t in trained for curve in t.curves for point in curve]
            log_axis(axes, values, text, pad=0.07)
        return figure


def markers_apart(trained: Trained) -> float | None:
    """How far markers stand apart, as a part of the panel; None where a curve is one point."""
    return 0.25 if all(len(curve) > 1 for curve in trained.curves) else None


def lines(axes: Any, trained: Trained, spent: Spent, **look: Any) -> None:
    """A line per seed, or what stands for many of them (`MOST_LINES`)."""
    scale = trained.metric.scale
    if len(trained.curves) <= MOST_LINES:
        for curve in trained.curves:
            axes.plot([spent(p) for p in curve], [scale * p.score for p in curve], **look)
        return
    # The first of all seeds, the second, ...; of those that still train.
    validations = [[p for p in points if p] for points in zip_longest(*trained.curves)]
    x = [median(map(spent, points)) for points in validations]
    seeds = [sorted(scale * point.score for point in points) for points in validations]
    axes.plot(x, [median(scores) for scores in seeds], **look)
    if look["color"] != CONTEXT:
        low, high = [a[0] for a in seeds], [a[-1] for a in seeds]
        axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def target_figure(
    trained: Sequence[Trained], palette: Palette, targets: Sequence[float] = TARGETS
) -> Figure:
    """A row per learner, against examples and against time; the targets one above the other."""
    curves = {t.entry: t.curves for t in trained}
    spent_on = spendings(trained)
    fills = [("none", "full", "left", "right")[place % 4] for place in range(len(targets))]
    with style():
        figure, panels, placed = rows_of_learners(
            [t.entry for t in trained], palette, len(spent_on), 34, [t.label for t in trained]
        )
        for axes, (name, (spent, text)) in zip(panels, spent_on.items(), strict=True):
            drawn: list[float] = []
            for entry, y in placed:
                for place, target in enumerate(targets):
                    height = y + 0.3 * (place - (len(targets) - 1) / 2)
                    runs = [(reached(curve, target), curve[-1]) for curve in curves[entry]]
                    there = [spent(point) for point, _ in runs if point]
                    ended = [spent(last) for point, last in runs if not point]
                    drawn += there + ended
                    own = palette.marker(entry.family), palette.light(entry.family), fills[place]
                    for x, (marker, color, fill) in ((there, own), (ended, (">", FAINT, "full"))):
                        if not x:
                            continue
                        axes.plot(
                            x, [height] * len(x), linestyle="none", markersize=4.5, marker=marker,
                            color=color, fillstyle=fill,
                        )  # fmt: skip
            axes.set_xlabel(name)
            log_axis(axes, drawn, text, pad=0.1)
        for entry, y in placed:
            best = max(point.score for curve in curves[entry] for point in curve)
            beside(panels[-1], 1.02, y, f"{100 * best:.1f}", FAINT)
        beside(panels[-1], 1.02, -0.35, "best, %", FAINT)
        shared_legend(
            figure,
            {
                f"{100 * target:g} %": {"marker": "o", "fillstyle": fill, "color": FAINT}
                for target, fill in zip(targets, fills, strict=True)
            }
            | {"not reached": {"marker": ">", "color": FAINT}},
        )
        return figure
