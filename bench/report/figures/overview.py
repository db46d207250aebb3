"""Figures over all settings of a report: accuracy against cost, and performance profiles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.report.figures.panels import legend_of, log_axis
from bench.report.figures.style import (
    CONTEXT,
    FAINT,
    INK,
    LINES,
    MARKERS,
    RULE,
    WIDTH,
    Palette,
    Picture,
    shortened,
    slug,
    style,
)
from bench.results.boards import family_order
from bench.results.formats import duration
from bench.results.tradeoff import (
    COSTS,
    FIRST_ANSWER,
    MEMORY,
    TRAINING,
    Point,
    Tradeoff,
    profiles,
)
from bench.results.written import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NARROW = 4.6
"""Inches: beside the overview."""
MIB = 2**20
MARK = 5.5
"""Pixels from a mark's middle to its edge, and a little more."""
POINTS = (0, 0.5, 1, 2, 5, 10, 20, 50, 100)
"""Ticks of what is behind the best."""
TIMES = (1, 10, 60, 600, 3600, 36_000, 360_000)
"""Ticks of long times: seconds."""
FEWEST_SETTINGS = 3
"""In a profile."""
MOST_LEFT_OUT = 8
"""Learners that a caption names as trained or measured elsewhere."""
MOST_PROFILES = 12
"""Learners in a profile."""


def cost_text(cost: str, value: float) -> str:
    """``12.3 ms``, ``420 MiB``."""
    if not value:
        return "no training"
    return f"{value / MIB:,.0f} MiB" if cost == MEMORY else duration(value)


def _tick(cost: str, value: float) -> str:
    """``1 min``, of which `cost_text` makes ``1 min 00 s``."""
    return re.sub(" 00 (s|min)$", "", cost_text(cost, value))


def tradeoff_pictures(found: Tradeoff | None, palette: Palette) -> dict[str, Picture]:
    """By the name of a cost; none where it is known of fewer than two learners."""
    if found is None:
        return {}
    return {
        cost: _tradeoff_picture(found, cost, palette)
        for cost in COSTS
        if len(found.measured(cost)) > 1
    }


def _tradeoff_picture(found: Tradeoff, cost: str, palette: Palette) -> Picture:
    points = sorted(found.measured(cost), key=lambda p: p.costs[cost])
    front = found.front(cost)
    texts = [
        f"{p.label} {100 * p.behind:.2f} points behind at {cost_text(cost, p.costs[cost])}"
        + " (front)" * (p in front)
        for p in points
    ]
    settings = f"{len(found.boards)} setting{'' if len(found.boards) == 1 else 's'}"
    hollow = "" if all(map(found.whole, points)) else " Hollow: not all settings or seeds are done."
    return Picture(
        slug("all-settings", cost),
        f"Accuracy against {cost}. " + "; ".join(texts),
        f"Points of accuracy behind the best, mean over {settings}, against the {cost}"
        f"{_where(found, cost)}. Filled and joined: the Pareto front.{hollow}"
        f"{_left_out(found, cost)}",
        lambda: tradeoff_figure(found, cost, palette),
        family_order(point.family for point in points),
    )


def _where(found: Tradeoff, cost: str) -> str:
    """On which machines it was measured."""
    places = found.where(cost)
    each = "" if len(places) < 2 else ", each setting on one of them"
    return f" on {listed(places)}{each}" if places else ""


def _left_out(found: Tradeoff, cost: str) -> str:
    """Whose cost cannot stand beside the others'."""
    out = [point.label for point in found.unmeasured(cost)]
    if not out:
        return ""
    names = listed(out) if len(out) <= MOST_LEFT_OUT else f"{len(out)} learners"
    done = "trained" if cost == TRAINING else "measured"
    return f" Left out, for in some of their settings they were not {done} there: {names}."


def tradeoff_figure(found: Tradeoff, cost: str, palette: Palette) -> Figure:
    """Up and left is better; the front is joined, and named first."""
    points, front = found.measured(cost), found.front(cost)
    unit = MIB if cost == MEMORY else 1
    paid = [p.costs[cost] / unit for p in points if p.costs[cost] > 0]
    with style():
        figure = Figure(figsize=(NARROW, 4.3), layout="constrained")
        axes = figure.subplots()
        log_axis(axes, paid, lambda value: _tick(cost, unit * value), gap=0.22, pad=0.35)
        if cost == TRAINING:
            low, high = axes.get_xlim()
            ticks = [tick for tick in TIMES if low <= tick <= high]
            axes.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) > 1 else paid[:1]))
        free = axes.get_xlim()[0] * 1.15  # where what costs nothing stands
        place = {id(p): (p.costs[cost] / unit or free, 100 * p.behind) for p in points}
        line = [place[id(p)] for p in front]
        line += [(axes.get_xlim()[1], y) for _, y in line[-1:]]
        if line:
            axes.step(*zip(*line, strict=True), where="post", color=CONTEXT, zorder=1)
        for p in points:
            full = p in front
            axes.plot(
                *place[id(p)], palette.marker(p.family), color=palette.light(p.family),
                markersize=6 if full else 5, fillstyle="full" if full else "none",
                markeredgewidth=1.1, linestyle="none",
                alpha=1 if found.whole(p) else 0.55,
            )  # fmt: skip
        _behind_axis(axes, [100 * p.behind for p in points])
        axes.set_xlabel(cost)
        axes.set_ylabel("points behind the best")
        axes.grid(color=RULE, linewidth=0.6)
        sns.despine(ax=axes)
        named = [*front, *sorted((p for p in points if p not in front), key=lambda p: p.behind)]
        _name_points(figure, axes, named, [place[id(p)] for p in named], len(front), line)
        return figure


def _behind_axis(axes: Axes, values: Sequence[float]) -> None:
    top = max([*values, 1.0])
    axes.set_yscale("symlog", linthresh=1, linscale=0.7)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in POINTS if tick <= 1.3 * top]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(1.3 * top, -0.15)


def _name_points(
    figure: Figure,
    axes: Axes,
    points: Sequence[Point],
    places: Sequence[tuple[float, float]],
    on_front: int,
    line: Sequence[tuple[float, float]],
) -> None:
    """Names beside points, where they cover no other; those of the front always."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    taken = []
    for x, y in axes.transData.transform(places).tolist():
        taken.append((x - MARK, y - MARK, x + MARK, y + MARK))
    corners = axes.transData.transform(line).tolist() if line else []
    for (x, y), (next_x, next_y) in pairwise(corners):  # the front goes right, then up
        taken += [(x, y - 2, next_x, y + 2), (next_x - 2, y, next_x + 2, next_y)]
    inside = axes.get_window_extent()
    labels = shortened([point.label for point in points], 24)
    for k, (label, place) in enumerate(zip(labels, places, strict=True)):
        for dx, dy, ha in ((6, 0, "left"), (-6, 0, "right"), (6, 7, "left"), (6, -7, "left"),
                           (-6, 7, "right"), (-6, -7, "right"), (0, 9, "center"),
                           (0, -9, "center"), (16, 0, "left"), (14, -9, "left")):  # fmt: skip
            text = axes.annotate(
                label, place, (dx, dy), textcoords="offset points", ha=ha, va="center",
                fontsize=7, color=INK if k < on_front else FAINT, parse_math=False,
                annotation_clip=False,
            )  # fmt: skip
            box = text.get_window_extent()
            here = (box.x0, box.y0, box.x1, box.y1)
            free = not any(_meet(here, other) for other in taken)
            if free and inside.x0 - 2 <= box.x0 and box.x1 <= inside.x1 + 3:
                taken.append(here)
                break
            text.remove()


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def profile_picture(found: Tradeoff | None, palette: Palette) -> Picture | None:
    """Performance profiles; None for fewer than three settings, of which shares say nothing."""
    if found is None or len(found.boards) < FEWEST_SETTINGS:
        return None
    own = profiles(found)
    points, shares = own.points, own.within([0.01])[0]
    texts = [f"{p.label} {100 * share:.0f} %" for p, share in zip(points, shares, strict=True)]
    return Picture(
        "all-settings-profiles",
        f"Share of settings within one point of the best. {', '.join(texts)}",
        f"Performance profiles over {len(found.boards)} settings (Dolan and Moré 2002): in what "
        "share of them a learner is within so many points of the best, and within so many times "
        f"the {FIRST_ANSWER} of the cheapest. What is missing is within no bound."
        + (f" The best {MOST_PROFILES} of {len(points)}." if len(points) > MOST_PROFILES else ""),
        lambda: profile_figure(found, palette),
        family_order(point.family for point in points),
    )


def profile_figure(found: Tradeoff, palette: Palette) -> Figure:
    """Two panels: points behind the best, times the cheapest."""
    own = profiles(found)
    points, gaps, times = own.points, own.behind, own.times
    shown = sorted(
        range(len(points)), key=lambda k: (-np.sum(~np.isnan(gaps[:, k])), points[k].behind)
    )
    shown = shown[:MOST_PROFILES]
    timed = bool(np.isfinite(times).any())
    with style():
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        panels = figure.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
        bounds = np.concatenate([[0], np.geomspace(0.001, 1, 121)])
        _steps(panels[0], 100 * bounds, own.within(bounds), points, shown, palette)
        panels[0].set_xscale("symlog", linthresh=0.5, linscale=0.4)
        panels[0].xaxis.set_major_locator(FixedLocator([0, 0.5, 1, 2, 5, 10, 20, 50, 100]))
        panels[0].xaxis.set_minor_locator(NullLocator())
        panels[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].set(
            xlim=(0, 100), xlabel="within points of the best", ylabel="share of settings, %"
        )
        if timed:
            most = max(2.0, float(np.nanmax(times)))
            bounds = np.geomspace(1, most, 121)
            _steps(panels[1], bounds, own.within_times(bounds), points, shown, palette)
            log_axis(panels[1], [1.0, most], pad=0.02)
            panels[1].set_xlabel(f"times the cheapest {FIRST_ANSWER}")
        legend_of(
            panels[-1],
            [(points[k].label, _look(points, k, palette) | {"marker": ""}) for k in shown],
        )
        for axes in panels:
            axes.set_ylim(-3, 103)
            axes.grid(color=RULE, linewidth=0.6)
            sns.despine(ax=axes)
        return figure


def _look(points: Sequence[Point], k: int, palette: Palette) -> dict[str, Any]:
    own = [j for j, point in enumerate(points) if point.family == points[k].family]
    place = own.index(k)
    return {
        "color": palette.light(points[k].family),
        "linestyle": LINES[place % len(LINES)],
        "linewidth": 1.1 + 0.6 * (place // len(LINES)),
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 3,
    }


def _steps(
    axes: Axes,
    bounds: Sequence[float] | np.ndarray,
    shares: np.ndarray,
    points: Sequence[Point],
    shown: Sequence[int],
    palette: Palette,
) -> None:
    for k in shown:
        look = _look(points, k, palette) | {"marker": ""}
        axes.step(bounds, 100 * shares[:, k], where="post", **look)
