"""What accuracy costs: time to the first answer, the time of each phase, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report import summary
from bench.report.figures.panels import (
    Look,
    by_family,
    log_axis,
    looks,
    names,
    rows_of_learners,
    shared_legend,
)
from bench.report.figures.style import (
    CONTEXT,
    FAINT,
    INK,
    MARKERS,
    RULE,
    WIDTH,
    Palette,
    Picture,
    picture_name,
    plain_text,
    short,
    shortened,
    style,
)
from bench.results.boards import Board, Entry
from bench.results.formats import duration
from bench.results.rows import Place
from bench.results.written import seeds

FIRST = "first_answer"
PHASES = {
    "train_update": "training update",
    "adapt": "adapt",
    "further_query": "further query",
    "step": "step",
}
"""Those with a panel of their own, where somebody has been timed in them."""
MEMORY = "memory, MiB"
FILLS = ("full", "none", "left", "right", "top", "bottom")
"""By device."""
MIB = 2**20


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points nobody dominates: no other is as fast and as accurate, and better in one.

    Args:
        points: (cost, gain): less and more are better.
    """
    return [
        not any(c <= cost and g >= gain and (c < cost or g > gain) for c, g in points)
        for cost, gain in points
    ]


def cost_pictures(board: Board, palette: Palette) -> tuple[Picture | None, Picture | None]:
    """Accuracy against the time to the first answer, and the phases; None without timings."""
    name, title = summary.board_name(board), board.metric.title
    tradeoff = phases = None
    if FIRST in board.phases and any(_points(board, place) for place in board.places):
        tradeoff = Picture(
            picture_name(board, "first-answer"),
            f"{title}{' in percent' * board.metric.in_percent} against the time to the first "
            "answer. " + "; ".join(_front_text(board, place) for place in board.places),
            f"{title} with 95 % intervals against the time to the first answer (adapt and one "
            "query, one episode at a time). Filled and joined: the Pareto front, which no "
            f"learner beats in both{_lacking(board)}.{_untimed(board, FIRST)} {name}.",
            lambda: tradeoff_figure(board, palette),
            list(board.families),
        )
    if _phases(board):
        with_memory = any(map(board.measured_memory, board.places))
        memory = (
            ", and the most memory while they were measured (of the process on a CPU, else "
            "allocated on the device)"
        )
        phases = Picture(
            picture_name(board, "phases"),
            f"Time of each phase{' and peak memory' * with_memory}. "
            + "; ".join(_cost_text(entry, board) for entry in _timed(board)),
            f"Median time of each phase, one episode at a time{memory * with_memory}."
            f"{_untimed(board)} {name}.",
            lambda: phases_figure(board, palette),
            list(board.families),
        )
    return tradeoff, phases


def _points(board: Board, place: Place) -> list[tuple[Entry, float, float]]:
    """Who was timed: entry, seconds, score."""
    found = []
    for entry in board.entries:
        seconds, score = entry.time(place, FIRST), entry.score(board.metric)
        if seconds and score is not None:
            found.append((entry, seconds, score))
    return found


def _on_front(board: Board, points: Sequence[tuple[Entry, float, float]]) -> set[Entry]:
    """Who of `_points` is on the front; a learner whose seeds are not all done is off it."""
    whole = [point for point in points if point[0].complete]
    front = pareto_front([(seconds, board.metric.sign * score) for _, seconds, score in whole])
    return {entry for (entry, _, _), on in zip(whole, front, strict=True) if on}


def _lacking(board: Board) -> str:
    if all(entry.complete for entry in board.entries):
        return ""
    return " (of those with all seeds; else the mean is of the finished ones)"


def _front_text(board: Board, place: Place) -> str:
    points = _points(board, place)
    front = _on_front(board, points)
    texts = sorted(
        (
            took,
            f"{entry.label} {board.metric.write(score)} in {duration(took)}"
            + " (front)" * (entry in front)
            + f" ({seeds(entry)} seeds)" * (not entry.complete),
        )
        for entry, took, score in points
    )
    return f"{place.label}: " + ", ".join(text for _, text in texts)


def _timed(board: Board) -> list[Entry]:
    return [e for e in board.entries if any(row.timings for row in e.done)]


def _phases(board: Board) -> list[str]:
    timings = (t for e in board.entries for row in e.done for t in row.timings.values())
    there = {phase for timing in timings for phase in timing.phases}
    return [phase for phase in PHASES if phase in there]


def _untimed(board: Board, phase: str | None = None) -> str:
    without = [
        entry.label
        for entry in board.entries
        if not any(
            timing.phases.get(phase) if phase else timing.phases
            for row in entry.done
            for timing in row.timings.values()
        )
    ]
    return f" Without timings: {', '.join(without)}." if without else ""


def _cost_text(entry: Entry, board: Board) -> str:
    texts = []
    for place in board.places:
        times = [
            f"{title} {duration(seconds)}"
            for phase, title in PHASES.items()
            if (seconds := entry.time(place, phase)) is not None
        ]
        if peak := entry.peak_memory(place):
            times.append(f"{peak / MIB:,.0f} MiB")
        if times:
            texts.append(f"{place.label}: {', '.join(times)}")
    return f"{entry.label} on {' and '.join(texts)}"


def tradeoff_figure(board: Board, palette: Palette) -> Figure:
    """A panel per device; the legend names the learners, family by family."""
    points = {place: own for place in board.places if (own := _points(board, place))}
    scale = board.metric.scale
    look = looks(board.entries, palette)
    columns = min(len(points), 2)
    rows = -(-len(points) // columns)
    shown = dict.fromkeys(entry for own in points.values() for entry, _, _ in own)
    legend = _legend(list(shown), palette, look)
    with style():
        height = max(rows * 2.6, 0.4 + 0.165 * len(legend))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        seconds = [s for own in points.values() for _, s, _ in own]
        for axes, (place, own) in zip(panels.flat, points.items(), strict=False):
            log_axis(axes, seconds, duration, gap=0.25)
            front = _on_front(board, own)
            best = sorted((s, scale * score) for entry, s, score in own if entry in front)
            best += [(axes.get_xlim()[1], score) for _, score in best[-1:]]
            xy = list(zip(*best, strict=True)) or [(), ()]
            axes.step(*xy, where="post", color=CONTEXT, linewidth=1, zorder=1)
            for entry, s, score in own:
                axes.errorbar(
                    s, scale * score, yerr=scale * (entry.half_width(board.metric) or 0.0),
                    color=palette.light(entry.family), marker=look[entry]["marker"],
                    fillstyle="full" if entry in front else "none", markersize=5.5, linewidth=0.9,
                )  # fmt: skip
            axes.set_title(
                short(place.label, 30), fontsize=9, color=INK, loc="left", parse_math=False
            )
            axes.grid(color=RULE, linewidth=0.6)
            sns.despine(ax=axes)
        for axes in panels.flat[len(points) :]:
            axes.set_visible(False)
        for axes in panels[-1]:
            axes.set_xlabel("time to the first answer")
        for axes in panels[:, 0]:
            axes.set_ylabel(board.metric.axis(board.kind.episode))
        names = figure.legend(
            handles=legend, loc="outside right upper", frameon=False, fontsize=7.5,
            handlelength=1.2, labelspacing=0.35, borderpad=0,
        )  # fmt: skip
        plain_text(names.get_texts())
        for text in names.get_texts():
            if text.get_text() in board.families:
                text.set_color(palette.light(text.get_text()))
                text.set_fontweight("bold")
        return figure


def _legend(entries: Sequence[Entry], palette: Palette, look: Mapping[Entry, Look]) -> list[Line2D]:
    handles = []
    for family, members in by_family(entries).items():
        handles.append(Line2D([], [], linestyle="none", label=family))
        handles += [
            Line2D(
                [], [], linestyle="none", color=palette.light(family), markersize=5,
                marker=look[entry]["marker"], label=name,
                fillstyle="full" if entry.complete else "none",
            )
            for entry, name in zip(members, names(members, 28), strict=True)
        ]  # fmt: skip
    return handles


def phases_figure(board: Board, palette: Palette) -> Figure:
    """A column per phase and, where somebody's is known, one for memory; a row per learner, a mark
    per device."""
    places = board.places
    columns: list[str | None] = [*_phases(board)]
    columns += [None] if any(map(board.measured_memory, places)) else []
    with style():
        figure, panels, placed = rows_of_learners(_timed(board), palette, len(columns), 28)
        for axes, phase in zip(panels, columns, strict=True):
            drawn = []
            for k, place in enumerate(places):
                for entry, y in placed:
                    value = (
                        entry.time(place, phase) if phase else (entry.peak_memory(place) or 0) / MIB
                    )
                    if not value:
                        continue
                    drawn.append(value)
                    axes.plot(
                        value, y + _shift(k, len(places)), color=palette.light(entry.family),
                        marker=palette.marker(entry.family), linestyle="none", markersize=4.5,
                        fillstyle=FILLS[k % len(FILLS)],
                    )  # fmt: skip
            # Labels of half an inch; the names to the left take two.
            gap = 0.52 / ((WIDTH - 2.1) / len(panels) - 0.1)
            if phase:
                log_axis(axes, drawn, duration, gap)
            else:
                log_axis(axes, drawn, "{:,.0f}".format, gap)
            axes.set_title(PHASES[phase] if phase else MEMORY, fontsize=8.5, color=INK)
            axes.tick_params(axis="x", labelsize=7.5)
        labels = [place.label for place in places]
        if len(places) > 1:
            shared_legend(
                figure,
                {
                    name: {
                        "marker": MARKERS[0], "fillstyle": FILLS[k % len(FILLS)],
                        "color": FAINT,
                    }
                    for k, name in enumerate(shortened(labels, 30))
                },
            )  # fmt: skip
        else:
            figure.supxlabel(
                f"on {short(labels[0], 40)}", fontsize=8, color=FAINT, parse_math=False
            )
        return figure


def _shift(place: int, devices: int) -> float:
    """Devices stand one above the other within a learner's row."""
    return 0.26 * (place - (devices - 1) / 2) if devices < 4 else 0.8 * (place / devices - 0.5)
