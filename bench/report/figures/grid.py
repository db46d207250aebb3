"""Accuracy over a suite's settings: by ways and shots."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from bench.report import summary
from bench.report.figures.panels import (
    Line,
    by_family,
    error_bars,
    hollow_note,
    legend_of,
    lines_over,
    looks,
    names,
    rows_of_families,
)
from bench.report.figures.style import Palette, Picture, slug, style
from bench.results.boards import Board, Entry, family_order

Grid = dict[tuple[int, int], Board]


def grid_picture(boards: Sequence[Board], palette: Palette) -> Picture | None:
    """Accuracy by ways and shots; None where neither differs.

    Args:
        boards: the settings of one suite at one budget.
    """
    grid = grid_of(boards)
    points = Counter(line for line, _, _ in lines_over(grid.values()))
    if len(grid) < 2 or max(points.values(), default=0) < 2:  # no learner has a line
        return None
    first = boards[0]
    texts = [
        f"{ways}-way {shots}-shot: "
        + ", ".join(summary.labelled_score(board, entry) for entry in board.scored)
        for (ways, shots), board in grid.items()
    ]
    return Picture(
        slug(first.suite, first.budget, "ways-and-shots"),
        f"{first.metric.title} by ways and shots. " + "; ".join(texts),
        f"{first.metric.title} by ways and shots of the meta-test, with 95 % intervals over "
        f"{first.kind.episodes}; {first.suite}, budget {first.budget}."
        + hollow_note(entry for board in grid.values() for entry in board.scored),
        lambda: grid_figure(grid, palette),
        family_order(family for board in grid.values() for family in board.families),
    )


def grid_of(boards: Sequence[Board]) -> Grid:
    """The boards by their (ways, shots)."""
    found: Grid = {}
    for board in boards:
        given = [row.task.get("shots") for row in board.cells]
        shots = {
            shot if isinstance(shot, int) else None for shot in given if not isinstance(shot, list)
        }
        shot = shots.pop() if len(shots) == 1 else None
        if board.ways and isinstance(shot, int) and board.scored:
            found.setdefault((board.ways, shot), board)
    return dict(sorted(found.items()))


def grid_figure(grid: Grid, palette: Palette) -> Figure:
    """A row of panels per family: a panel per number of ways with a line over the shots, or one
    panel with a line over the ways where all shots are equal."""
    first = next(iter(grid.values()))
    by_shots = len({shots for _, shots in grid}) > 1
    columns = sorted({ways for ways, _ in grid}) if by_shots else [0]
    entries: dict[Line, Entry] = {}
    lines: dict[tuple[Line, int], list[tuple[int, float, float, bool]]] = defaultdict(list)
    keys = {board.key: key for key, board in grid.items()}
    for line, board, entry in lines_over(grid.values()):
        ways, shots = keys[board.key]
        x, column = (shots, ways) if by_shots else (ways, 0)
        scale = board.metric.scale
        score = scale * (entry.score(board.metric) or 0.0)
        half = scale * (entry.half_width(board.metric) or 0.0)
        lines[line, column].append((x, score, half, entry.complete))
        if line not in entries or entries[line].complete:  # the legend names missing seeds
            entries[line] = entry
    look = looks(entries.values(), palette)
    families = {family: len(members) for family, members in by_family(entries.values()).items()}
    with style():
        figure, rows = rows_of_families(families, palette, len(columns))
        for family, panels in rows.items():
            own = {line: entry for line, entry in entries.items() if entry.family == family}
            for axes, column in zip(panels, columns, strict=True):
                for line, entry in own.items():
                    if points := lines.get((line, column)):
                        error_bars(axes, points, look[entry])
            panels[0].set_ylabel(first.metric.axis(first.kind.episode))
            own_looks = [look[entry] for entry in own.values()]
            legend_of(panels[-1], zip(names(own.values(), 28), own_looks, strict=True))
        for axes, column in zip(panels, columns, strict=True):
            axes.set_xlabel(f"shots, {column}-way" if by_shots else "ways")
            ticks = sorted({x for (_, c), p in lines.items() if c == column for x, *_ in p})
            axes.set_xscale("log")
            axes.set_xlim(ticks[0] / 1.25, ticks[-1] * 1.25)
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        return figure
