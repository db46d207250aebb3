"""Figures of the report, as SVG that follows the reader's light or dark page.

Figures are drawn without pyplot, so that nothing of a caller's session changes. Colours stand in
the SVG as CSS variables with a light and a dark value.
"""

from __future__ import annotations

import base64
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from bench.leaderboard import Board, Entry, family_order
from bench.results import FloatArray, Weightings
from bench.tables import score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, CONTEXT, RULE = "#222225", "#8a8a90", "#bdbdb8", "#d9d9d4"
DARK = {INK: "#e4e4e0", FAINT: "#8f8f96", CONTEXT: "#5c5c62", RULE: "#3c3c42"}
MARKERS = "osD^vP*Xh"
AT_A_ROW = 0.1
"""A head with this weight on a row of the memory counts as having been there."""
WIDTH = 7.0
"""Inches; the page shows an inch as 96 pixels."""


@dataclass(frozen=True)
class Palette:
    """One colour and one marker per family, the same in every figure and table.

    The colours are seaborn's for the colour-blind, lightened on a dark page.
    """

    families: Sequence[str]

    def light(self, family: str) -> str:
        """On a light page."""
        colours = sns.color_palette("colorblind").as_hex()
        return str(colours[self.families.index(family) % len(colours)])

    def dark(self, family: str) -> str:
        """On a dark page."""
        r, g, b = mpl.colors.to_rgb(self.light(family))
        lighter = (r + 0.35 * (1 - r), g + 0.35 * (1 - g), b + 0.35 * (1 - b))
        return str(mpl.colors.to_hex(lighter))

    def marker(self, family: str) -> str:
        """For readers who see no colours."""
        return MARKERS[self.families.index(family) % len(MARKERS)]


def score_figure(board: Board, palette: Palette) -> str:
    """Accuracy, or a memory probe's wrong bits, by learner: a dot and its 95 % interval, family by
    family. Returns a data URI."""
    metric, scale = board.metric, 1 if board.probe else 100
    lines: list[tuple[str, Entry | None]] = []
    for family, members in board.families.items():
        scored = [entry for entry in members if entry.score(metric) is not None]
        if scored:
            lines += [(family, None), *((short(entry.label), entry) for entry in scored)]
    if not lines:
        return ""
    with _style():
        figure = Figure(figsize=(WIDTH, 0.55 + 0.235 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for y, (family, entry) in enumerate(lines):
            if entry is None:
                _text(axes, 0, y, family, palette.light(family), weight="bold", left=True)
                continue
            axes.errorbar(
                scale * (entry.score(metric) or 0.0), y,
                xerr=scale * (entry.half_width(metric) or 0.0),
                color=palette.light(entry.family), marker=palette.marker(entry.family),
                markersize=4, linewidth=1.4, capsize=0,
            )  # fmt: skip
            _text(axes, 1.02, y, score(board, entry), INK)
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.set_yticks(
            [y for y, (_, entry) in enumerate(lines) if entry],
            [label for label, entry in lines if entry],
        )
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_xlabel("wrong bits per sequence" if board.probe else "accuracy, %")
        low, high = axes.get_xlim()
        if not board.probe:
            axes.set_xlim(max(low, 0), min(high, 100.5))
        sns.despine(ax=axes, left=True)
        return _uri(figure, palette, board.families)


def presentation_figure(board: Board, palette: Palette) -> str:
    """Online accuracy at the 1st, 2nd, ... presentation of a class. Returns a data URI.

    One panel per family; the other families' learners stand behind it in grey.
    """
    curves = [(e, e.curve("accuracy_by_presentation")) for e in board.entries]
    curves = [(entry, curve) for entry, curve in curves if curve]
    if not curves:
        return ""
    families = [f for f in board.families if any(entry.family == f for entry, _ in curves)]
    columns = min(len(families), 3)
    rows = -(-len(families) // columns)
    most = max(sum(entry.family == f for entry, _ in curves) for f in families)
    with _style():
        figure = Figure(figsize=(WIDTH, rows * (2.5 + 0.17 * most)), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, family in zip(panels.flat, families, strict=False):
            for entry, curve in curves:
                if entry.family != family:
                    _curve(axes, curve, color=CONTEXT, linewidth=0.8, zorder=1)
            own = [(entry, curve) for entry, curve in curves if entry.family == family]
            for place, (entry, curve) in enumerate(own):
                _curve(
                    axes, curve, color=palette.light(family), linewidth=1.3, zorder=2,
                    marker=MARKERS[place % len(MARKERS)], markersize=4,
                    linestyle=("-", "--", ":", "-.")[place % 4], label=short(entry.label, 25),
                )  # fmt: skip
            if board.ceiling is not None:
                axes.plot([0.7, 1.3], [100 * board.ceiling] * 2, color=INK, linewidth=1.2, zorder=3)
            axes.set_title(family, color=palette.light(family), fontsize=9, fontweight="bold")
            axes.title.set_parse_math(False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color=RULE, linewidth=0.6)
            legend = axes.legend(
                loc="upper left", bbox_to_anchor=(-0.05, -0.26), frameon=False, fontsize=7.5,
                handlelength=2.6, borderpad=0,
            )  # fmt: skip
            for text in legend.get_texts():
                text.set_parse_math(False)
            sns.despine(ax=axes)
        for axes in panels.flat[len(families) :]:
            axes.set_visible(False)
        for axes in panels[-1]:
            axes.set_xlabel("presentation of a class")
        for axes in panels[:, 0]:
            axes.set_ylabel("accuracy, %")
        return _uri(figure, palette, board.families)


def length_figure(boards: Sequence[Board], palette: Palette) -> str:
    """Wrong bits of a memory probe by the number of items, a line per learner. Returns a data URI.

    Args:
        boards: the settings of one suite at one budget.
    """
    lines: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    chance: dict[int, float] = {}
    trained: set[tuple[int, ...]] = set()
    for board in boards:
        for entry in board.entries:
            items, bits = entry.common("items"), entry.common("bits")
            wrong, half = entry.score(board.metric), entry.half_width(board.metric)
            if items is None or bits is None or wrong is None:
                continue
            lines[entry.family, entry.label].append((items, wrong, half or 0.0))
            chance[items] = bits / 2
            ranges = (cell["training_items"] for cell in entry.done)
            trained |= {tuple(r) for r in ranges if isinstance(r, list)}
    if len(chance) < 2:
        return ""
    families = family_order(family for family, _ in lines)
    with _style():
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for low, high in sorted(trained):
            axes.axvspan(low, high, color=RULE, alpha=0.5, linewidth=0, label="meta-training")
        axes.plot(*zip(*sorted(chance.items()), strict=True), color=CONTEXT, label="chance")
        for family in families:
            own = sorted(label for of, label in lines if of == family)
            for place, label in enumerate(own):
                x, y, half_widths = zip(*sorted(lines[family, label]), strict=True)
                axes.errorbar(
                    x, y, yerr=half_widths, color=palette.light(family), linewidth=1.3,
                    marker=MARKERS[place % len(MARKERS)], markersize=4,
                    linestyle=("-", "--", ":", "-.")[place % 4], label=short(label),
                )  # fmt: skip
        axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        axes.set_ylim(bottom=-0.02)  # room for the markers of learners without an error
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("items in a sequence")
        axes.set_ylabel("wrong bits per sequence")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        legend = axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        sns.despine(ax=axes)
        return _uri(figure, palette, families)


def weightings_figure(shown: Weightings, palette: Palette) -> str:
    """A sequence of a memory probe, the answer, and where the heads were, as in Graves et al. 2014,
    Figure 6: time runs to the right, white is 1. Returns a data URI."""
    due = shown.mask[:, None]
    panels = {"input": shown.x, "target": shown.target * due, "answer": shown.answer * due}
    for name, weights in shown.heads.items():
        # The same rows for all heads of a memory, so that one sees what was written read.
        others = [head for head in shown.heads.values() if head.shape == weights.shape]
        panels[name] = weights[:, _rows_used(others)]
    heights = [min(0.5 + 0.012 * panel.shape[1], 1.3) for panel in panels.values()]
    with _style():
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.5), layout="constrained")
        columns = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights)
        for axes, (name, panel) in zip(columns, panels.items(), strict=True):
            axes.imshow(panel.T, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="none")
            axes.set_yticks([])
            axes.set_ylabel(short(name, 20), rotation=0, ha="right", va="center")
            axes.yaxis.label.set_parse_math(False)
            axes.tick_params(bottom=axes is columns[-1])
        columns[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        columns[-1].set_xlabel("time step")
        return _uri(figure, palette, [])


def _rows_used(heads: Iterable[FloatArray]) -> NDArray[np.int64]:
    """The rows (of a memory that is a circle) without the longest stretch where no head was."""
    weights = np.concatenate(list(heads))  # (steps of all heads, rows)
    rows = weights.shape[1]
    used = np.flatnonzero(weights.max(axis=0) > AT_A_ROW)
    if not len(used):
        return np.arange(rows)
    gaps = np.diff(used, prepend=used[-1] - rows)  # before each of them
    return (used[gaps.argmax()] + np.arange(rows + 1 - gaps.max())) % rows


def short(label: str, width: int = 40) -> str:
    """A label that fits beside a plot; tables have the whole."""
    return label if len(label) <= width else label[: width - 1] + "…"


def _curve(axes: Axes, curve: Sequence[float | None], **style: Any) -> None:
    axes.plot(
        range(1, len(curve) + 1), [float("nan") if v is None else 100 * v for v in curve], **style
    )


def _text(
    axes: Axes, x: float, y: float, text: str, color: str, left: bool = False, **style: Any
) -> None:
    """Text beside the axes, at a height in data."""
    axes.annotate(
        text, (x, y), xycoords=("axes fraction", "data"), va="center", annotation_clip=False,
        ha="right" if left else "left", color=color, fontsize=9, parse_math=False,
        xytext=(-4 if left else 0, 0), textcoords="offset points", **style,
    )  # fmt: skip


def _style() -> Any:
    style = sns.axes_style("ticks") | {
        "font.size": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 9,
        "font.family": ["DejaVu Sans"],
        "text.color": INK,
        "axes.labelcolor": FAINT,
        "axes.edgecolor": FAINT,
        "xtick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.color": FAINT,
        "ytick.labelcolor": INK,
        "axes.linewidth": 0.7,
        "svg.hashsalt": "bench",  # the same figure is the same file
        "svg.fonttype": "path",
    }
    return mpl.rc_context(style)


def _uri(figure: Figure, palette: Palette, families: Iterable[str]) -> str:
    """The figure as ``<img>`` source: an image runs no script and keeps its ids to itself."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True,
        metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
    )  # fmt: skip
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    colours = DARK | {palette.light(family): palette.dark(family) for family in families}
    light, dark = [], []
    for number, (on_light, on_dark) in enumerate(colours.items()):
        svg = svg.replace(on_light, f"var(--c{number})")
        light.append(f"--c{number}:{on_light}")
        dark.append(f"--c{number}:{on_dark}")
    style = (
        f"<style>:root{{{';'.join(light)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}</style>"
    )
    svg = svg.replace("<defs>", style + "<defs>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
