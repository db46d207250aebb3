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
from bench.results.formats import duration, percent
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


def cost_pictures(board: Board, palette: Palette) -> list[Picture]:
    """Accuracy against the time to the first answer, and the phases; none without timings."""
    name = summary.board_name(board)
    pictures = []
    if not board.probe and any(_points(board, device) for device in board.devices):
        pictures.append(
            Picture(
                picture_name(board, "first-answer"),
                "Accuracy in percent against the time to the first answer. "
                + "; ".join(_front_told(board, device) for device in board.devices),
                "Accuracy with 95 % intervals against the time to the first answer (adapt and one "
                "query, one episode at a time). Filled and joined: the Pareto front, which no "
                f"learner beats in both{_lacking(board)}.{_untimed(board, FIRST)} {name}.",
                lambda: tradeoff_figure(board, palette),
                list(board.families),
            )
        )
    if _phases(board):
        pictures.append(
            Picture(
                picture_name(board, "phases"),
                "Time of each phase and peak memory. "
                + "; ".join(_cost_told(entry, board) for entry in _timed(board)),
                "Median time of each phase, one episode at a time, and the peak memory (of the "
                f"process on a CPU, else allocated on the device).{_untimed(board)} {name}.",
                lambda: phases_figure(board, palette),
                list(board.families),
            )
        )
    return pictures


def _points(board: Board, device: str) -> list[tuple[Entry, float, float]]:
    """Who was timed: entry, seconds, accuracy."""
    found = []
    for entry in board.entries:
        seconds, accuracy = entry.time(device, FIRST), entry.score(board.metric)
        if seconds and accuracy is not None:
            found.append((entry, seconds, accuracy))
    return found


def _on_front(points: Sequence[tuple[Entry, float, float]]) -> list[bool]:
    """Which of `_points` are on the front; a learner whose seeds are not all done is off it."""
    whole = [(seconds, accuracy) for entry, seconds, accuracy in points if entry.complete]
    front = iter(pareto_front(whole))
    return [entry.complete and next(front) for entry, _, _ in points]


def _lacking(board: Board) -> str:
    if all(entry.complete for entry in board.entries):
        return ""
    return " (of those with all seeds; else the mean is of the finished ones)"


def _front_told(board: Board, device: str) -> str:
    points = _points(board, device)
    told = sorted(
        (
            took,
            f"{entry.label} {percent(accuracy)} in {duration(took)}"
            + " (front)" * on
            + f" ({seeds(entry)} seeds)" * (not entry.complete),
        )
        for (entry, took, accuracy), on in zip(points, _on_front(points), strict=True)
    )
    return f"{device}: " + ", ".join(text for _, text in told)


def _timed(board: Board) -> list[Entry]:
    return [e for e in board.entries if any(cell["timings"] for cell in e.done)]


def _phases(board: Board) -> list[str]:
    there = {p for e in board.entries for c in e.done for t in c["timings"].values() for p in t}
    return [phase for phase in PHASES if phase in there]


def _untimed(board: Board, phase: str | None = None) -> str:
    without = [
        entry.label
        for entry in board.entries
        if not any(
            cell["timings"].get(device, {}).get(phase) if phase else cell["timings"].get(device)
            for cell in entry.done
            for device in board.devices
        )
    ]
    return f" Without timings: {', '.join(without)}." if without else ""


def _cost_told(entry: Entry, board: Board) -> str:
    told = []
    for device in board.devices:
        times = [
            f"{title} {duration(seconds)}"
            for phase, title in PHASES.items()
            if (seconds := entry.time(device, phase)) is not None
        ]
        if peak := entry.per_device("peak_memory", device):
            times.append(f"{peak / MIB:,.0f} MiB")
        if times:
            told.append(f"{device}: {', '.join(times)}")
    return f"{entry.label} on {' and '.join(told)}"


def tradeoff_figure(board: Board, palette: Palette) -> Figure:
    """A panel per device; the legend names the learners, family by family."""
    devices = [device for device in board.devices if _points(board, device)]
    look = looks(board.entries, palette)
    columns = min(len(devices), 2)
    rows = -(-len(devices) // columns)
    shown = {id(e): e for device in devices for e, _, _ in _points(board, device)}
    legend = _legend(list(shown.values()), palette, look)
    with style():
        height = max(rows * 2.6, 0.4 + 0.165 * len(legend))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        seconds = [s for device in devices for _, s, _ in _points(board, device)]
        for axes, device in zip(panels.flat, devices, strict=False):
            log_axis(axes, seconds, duration, gap=0.25)
            points = _points(board, device)
            front = _on_front(points)
            best = sorted((s, 100 * a) for (_, s, a), on in zip(points, front, strict=True) if on)
            best += [(axes.get_xlim()[1], accuracy) for _, accuracy in best[-1:]]
            xy = list(zip(*best, strict=True)) or [(), ()]
            axes.step(*xy, where="post", color=CONTEXT, linewidth=1, zorder=1)
            for (entry, s, accuracy), on in zip(points, front, strict=True):
                axes.errorbar(
                    s, 100 * accuracy, yerr=100 * (entry.half_width(board.metric) or 0.0),
                    color=palette.light(entry.family), marker=look[id(entry)]["marker"],
                    fillstyle="full" if on else "none", markersize=5.5, linewidth=0.9,
                )  # fmt: skip
            axes.set_title(short(device, 30), fontsize=9, color=INK, loc="left", parse_math=False)
            axes.grid(color=RULE, linewidth=0.6)
            sns.despine(ax=axes)
        for axes in panels.flat[len(devices) :]:
            axes.set_visible(False)
        for axes in panels[-1]:
            axes.set_xlabel("time to the first answer")
        for axes in panels[:, 0]:
            axes.set_ylabel("accuracy, %")
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


def _legend(entries: Sequence[Entry], palette: Palette, look: Mapping[int, Look]) -> list[Line2D]:
    handles = []
    for family, members in by_family(entries).items():
        handles.append(Line2D([], [], linestyle="none", label=family))
        handles += [
            Line2D(
                [], [], linestyle="none", color=palette.light(family), markersize=5,
                marker=look[id(entry)]["marker"], label=name,
                fillstyle="full" if entry.complete else "none",
            )
            for entry, name in zip(members, names(members, 28), strict=True)
        ]  # fmt: skip
    return handles


def phases_figure(board: Board, palette: Palette) -> Figure:
    """A column per phase and one for memory, a row per learner, a mark per device."""
    phases = _phases(board)
    devices = board.devices
    with style():
        figure, panels, placed = rows_of_learners(_timed(board), palette, len(phases) + 1, 28)
        for axes, phase in zip(panels, [*phases, None], strict=True):
            drawn = []
            for place, device in enumerate(devices):
                for entry, y in placed:
                    value = (
                        entry.time(device, phase)
                        if phase
                        else (entry.per_device("peak_memory", device) or 0) / MIB
                    )
                    if not value:
                        continue
                    drawn.append(value)
                    axes.plot(
                        value, y + _shift(place, len(devices)), color=palette.light(entry.family),
                        marker=palette.marker(entry.family), linestyle="none", markersize=4.5,
                        fillstyle=FILLS[place % len(FILLS)],
                    )  # fmt: skip
            # Labels of half an inch; the names to the left take two.
            gap = 0.52 / ((WIDTH - 2.1) / len(panels) - 0.1)
            if phase:
                log_axis(axes, drawn, duration, gap)
            else:
                log_axis(axes, drawn, "{:,.0f}".format, gap)
            axes.set_title(PHASES[phase] if phase else MEMORY, fontsize=8.5, color=INK)
            axes.tick_params(axis="x", labelsize=7.5)
        if len(devices) > 1:
            shared_legend(
                figure,
                {
                    name: {
                        "marker": MARKERS[0], "fillstyle": FILLS[place % len(FILLS)],
                        "color": FAINT,
                    }
                    for place, name in enumerate(shortened(devices, 30))
                },
            )  # fmt: skip
        else:
            figure.supxlabel(
                f"on {short(devices[0], 40)}", fontsize=8, color=FAINT, parse_math=False
            )
        return figure


def _shift(place: int, devices: int) -> float:
    """Devices stand one above the other within a learner's row."""
    return 0.26 * (place - (devices - 1) / 2) if devices < 4 else 0.8 * (place / devices - 0.5)
