"""How figures with many learners are laid out: rows of learners, panels of families, legends."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from bench.report.figures.style import (
    CONTEXT,
    RULE,
    WIDTH,
    Palette,
    beside,
    line_style,
    plain_text,
    shortened,
)
from bench.results.boards import Board, Entry, family_order
from bench.results.joined import Joined, joined
from bench.results.written import seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXIS = 0.45
"""Inches below a panel for its ticks and label."""
LINE = 0.235
"""Inches from one learner's row to the next."""


def by_family(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The learners of each family, families in their order, learners as given."""
    found = list(entries)
    families = family_order(entry.family for entry in found)
    return {family: [entry for entry in found if entry.family == family] for family in families}


Look = dict[str, Any]
"""Options of a matplotlib line."""


def looks(entries: Iterable[Entry], palette: Palette) -> dict[Entry, Look]:
    """How each learner's line looks: the same in all figures of a board."""
    return {
        entry: line_style(palette, family, place)
        for family, members in by_family(entries).items()
        for place, entry in enumerate(sorted(members, key=lambda entry: entry.label))
    }


def names(entries: Iterable[Entry], width: int) -> list[str]:
    """What learners are called in a figure: ``maml, 1 of 3`` where seeds are missing.

    Args:
        entries: who.
        width: of a label, in characters; longer ones are cut where they stay distinct.
    """
    found = list(entries)
    return [
        label if entry.complete else f"{label}, {seeds(entry)}"
        for entry, label in zip(found, shortened([e.label for e in found], width), strict=True)
    ]


def hollow_note(entries: Iterable[Entry]) -> str:
    """Of a caption: what hollow marks mean, where there are any."""
    whole = all(entry.complete for entry in entries)
    return "" if whole else " Hollow: seeds are missing; the mean is of the finished ones."


Line = tuple[str, str, int]
"""A learner over several boards: family, name, and which one of that name it is."""


def lines_over(boards: Iterable[Board]) -> Iterator[tuple[Line, Board, Entry]]:
    """The scored learners of each board under what joins them over the boards.

    A learner that is once on each board is one line, wherever it was trained for each, and is
    called by its name alone where its labels differ. Another one has a line for each label. Of one
    label there are several where it was trained twice with the same seed; trainings tell which is
    which.
    """
    boards = list(boards)
    names = joined(boards)
    labels: dict[Joined, set[str]] = defaultdict(set)
    several: set[Joined] = set()
    for board in boards:
        for entry in board.scored:
            labels[names[entry]].add(entry.label)
        counted = Counter(names[entry] for entry in board.scored)
        several |= {name for name, count in counted.items() if count > 1}
    for board in boards:
        times: Counter[tuple[str, str]] = Counter()
        line: dict[Entry, tuple[Line, Entry]] = {}
        for entry in sorted(board.scored, key=_trainings):
            name = names[entry]
            if name not in several and len(labels[name]) > 1:
                shown = replace(entry, label=name.learner)
            else:
                shown = entry
            key = entry.family, shown.label
            line[entry] = (*key, times[key]), shown
            times[key] += 1
        for entry in board.scored:
            own, shown = line[entry]
            yield own, board, shown


def _trainings(entry: Entry) -> list[str]:
    return sorted(str(row.training) for row in entry.cells)


def error_bars(axes: Axes, points: Sequence[tuple[float, float, float, bool]], look: Look) -> None:
    """A line with intervals, hollow where seeds are missing.

    Args:
        axes: the panel.
        points: x, y, half-width, whether no seed is missing.
        look: of the line.
    """
    x, y, half, complete = (list(column) for column in zip(*sorted(points), strict=True))
    axes.errorbar(x, y, yerr=half, **look, markevery=complete)
    hollow = [not whole for whole in complete]
    only_marks = {"linestyle": "none", "fillstyle": "none", "markersize": 7, "label": "_"}
    axes.plot(x, y, **look | only_marks, markevery=hollow)


def rows_of_learners(
    entries: Sequence[Entry],
    palette: Palette,
    columns: int,
    width: int,
    labels: Sequence[str] | None = None,
) -> tuple[Figure, list[Axes], list[tuple[Entry, float]]]:
    """Panels side by side that share their rows: a learner each, under its family's name.

    Args:
        entries: who.
        palette: of the report.
        columns: panels.
        width: of a learner's name beside its row, in characters.
        labels: in place of `names`.

    Returns:
        The figure, its panels, and the height of each learner's row.
    """
    lines: list[tuple[str, Entry | None]] = []
    texts = shortened(labels, width) if labels else names(entries, width)
    text = dict(zip(entries, texts, strict=True))
    for family, members in by_family(entries).items():
        lines += [(family, None), *((text[entry], entry) for entry in members)]
    figure = Figure(figsize=(WIDTH, 0.8 + LINE * len(lines)), layout="constrained")
    panels = list(figure.subplots(1, columns, sharey=True, squeeze=False)[0])
    placed = [(entry, float(y)) for y, (_, entry) in enumerate(lines) if entry]
    panels[0].set_ylim(len(lines) - 0.4, -0.6)
    panels[0].set_yticks([y for _, y in placed], [label for label, entry in lines if entry])
    plain_text(panels[0].get_yticklabels())
    for y, (family, entry) in enumerate(lines):
        if entry is None:
            beside(panels[0], 0, y, family, palette.light(family), weight="bold", left=True)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.hlines([y for _, y in placed], 0, 1, RULE, linewidth=0.4, zorder=0,
                    transform=axes.get_yaxis_transform())  # fmt: skip
        sns.despine(ax=axes, left=True)
    for axes in panels[1:]:
        axes.yaxis.set_visible(False)  # the names stand once; unseen ticks take time too
    return figure, panels, placed


def rows_of_families(
    families: Mapping[str, int], palette: Palette, columns: int
) -> tuple[Figure, dict[str, list[Axes]]]:
    """A row of panels per family, with room for a legend to the right.

    Args:
        families: the number of learners of each.
        palette: of the report.
        columns: panels in a row.
    """
    heights = [max(1.45, 0.25 + 0.155 * learners) for learners in families.values()]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.45), layout="constrained")
    panels = figure.subplots(
        len(families), columns, sharex="col", sharey=True, squeeze=False, height_ratios=heights
    )
    for family, row in zip(families, panels, strict=True):
        row[0].set_title(
            family, color=palette.light(family), fontsize=9, fontweight="bold", loc="left",
            parse_math=False,
        )  # fmt: skip
        for axes in row:
            axes.grid(axis="y", color=RULE, linewidth=0.6)
            sns.despine(ax=axes)
    return figure, {family: list(row) for family, row in zip(families, panels, strict=True)}


def panels_of_families(
    families: Mapping[str, int], palette: Palette, xlabel: str, ylabel: str
) -> tuple[Figure, dict[str, Axes], list[Axes]]:
    """A panel per family, with room for a legend below each.

    Args:
        families: the number of lines in the legend of each.
        palette: of the report.
        xlabel: of all panels.
        ylabel: of the first panel in a row.

    Returns:
        The figure, its panels, and those of them that nothing stands to the right of.
    """
    columns = 2 if len(families) == 4 else min(len(families), 3)
    rows = -(-len(families) // columns)
    most = max(families.values())
    figure = Figure(figsize=(WIDTH, rows * (2.5 + 0.17 * most)), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = dict(zip(families, grid.flat, strict=False))
    for family, axes in panels.items():
        axes.set_title(
            family, color=palette.light(family), fontsize=9, fontweight="bold", parse_math=False
        )
        axes.set_xlabel(xlabel)
        axes.tick_params(labelbottom=True)
        sns.despine(ax=axes)
    for axes in grid.flat[len(families) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    ends = [place for place in range(len(families)) if place % columns == columns - 1]
    return figure, panels, [grid.flat[place] for place in {*ends, len(families) - 1}]


def legend_of(
    axes: Axes, labels: Iterable[tuple[str, Look]], below: bool = False, **options: Any
) -> None:
    """A legend of learners to the right of a panel, or below it.

    Args:
        axes: the panel.
        labels: a name and how its line looks.
        below: where the panel's x axis has a label.
        options: of matplotlib's legend.
    """
    handles = [Line2D([], [], **look, label=label) for label, look in labels]
    defaults: dict[str, Any] = {
        "loc": "upper left", "frameon": False, "borderpad": 0, "fontsize": 7.5,
        "handlelength": 2.6, "labelspacing": 0.35, "title_fontsize": 7.5, "alignment": "left",
        "bbox_to_anchor": (-0.05, 0) if below else (1.02, 1.04),
    }  # fmt: skip
    if below:  # inches, so that the layout knows the room that it takes
        figure = axes.get_figure(root=True)
        assert figure is not None
        shift = ScaledTranslation(0, -AXIS, figure.dpi_scale_trans)
        defaults["bbox_transform"] = axes.transAxes + shift
    plain_text(axes.legend(handles=handles, **defaults | options).get_texts())


def log_axis(
    axes: Axes,
    values: Iterable[float],
    text: Callable[[float], str] = "{:g}".format,
    gap: float = 0.2,
    pad: float = 0.15,
) -> None:
    """A logarithmic x axis with few ticks at round numbers.

    Args:
        axes: the panel.
        values: all that is drawn, above 0.
        text: a tick's label.
        gap: between ticks, as a fraction of the axis.
        pad: room on both sides, in decades.
    """
    there = [value for value in values if value > 0] or [1.0]
    low, high = min(there), max(there)
    if len(round_values(low / 10**pad, high * 10**pad, 0)) < 2:  # of values close together
        low, high = neighbours(low, high)
    low, high = low / 10**pad, high * 10**pad
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(round_values(low, high, gap)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def neighbours(low: float, high: float) -> tuple[float, float]:
    """The numbers 1, 2, 5, 10, ... that lie around two."""
    found = round_values(low / 10, high * 10, 0)
    return max(v for v in found if v < low), min(v for v in found if v > high)


def round_values(low: float, high: float, gap: float) -> list[float]:
    """Round numbers between two, as many as leave a gap between neighbours.

    They are 1, 2, 5, 10, ... or 1, 3, 10, ... or powers of ten, a hundred or a thousand.

    Args:
        low: above 0.
        high: above `low`.
        gap: the least distance on a logarithmic axis, as a fraction of it.
    """
    least = gap * math.log10(high / low)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found: list[float] = []
    for mantissas, step in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
        powers = range(first - first % step, last + 1, step)
        found = [m * 10.0**p for p in powers for m in mantissas if low <= m * 10.0**p <= high]
        if all(math.log10(b / a) >= least for a, b in pairwise(found)):
            break
    return found


def shared_legend(figure: Figure, markers: Mapping[str, dict[str, Any]], **options: Any) -> None:
    """A legend below a figure, of marks that mean the same for every learner."""
    shared: dict[str, Any] = {"color": CONTEXT, "linestyle": "none", "markersize": 5}
    handles = [Line2D([], [], **shared | look, label=label) for label, look in markers.items()]
    legend = figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False,
        fontsize=8, handletextpad=0.2, columnspacing=1.2, **options,
    )  # fmt: skip
    plain_text(legend.get_texts())
