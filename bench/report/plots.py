"""Figures of the report, as SVG that follows the reader's light or dark page.

Figures are drawn without pyplot, so that nothing of a caller's session changes. Colours stand in
the SVG as CSS variables with a light and a dark value.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.leaderboard import Board, Entry
from bench.tables import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, CONTEXT, RULE = "#222225", "#8a8a90", "#bdbdb8", "#d9d9d4"
DARK = {INK: "#e4e4e0", FAINT: "#8f8f96", CONTEXT: "#5c5c62", RULE: "#3c3c42"}
MARKERS = "osD^vP*Xh"
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


def accuracy_figure(board: Board, palette: Palette) -> str:
    """Accuracy by learner: a dot and its 95 % interval, family by family. Returns a data URI."""
    lines: list[tuple[str, Entry | None]] = []
    for family, members in board.families.items():
        scored = [entry for entry in members if entry.mean("accuracy") is not None]
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
            accuracy = 100 * (entry.mean("accuracy") or 0.0)
            axes.errorbar(
                accuracy, y, xerr=100 * (entry.mean("accuracy_ci95") or 0.0),
                color=palette.light(entry.family), marker=palette.marker(entry.family),
                markersize=4, linewidth=1.4, capsize=0,
            )  # fmt: skip
            _text(axes, 1.02, y, percent(accuracy / 100, entry.mean("accuracy_ci95")), INK)
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
        axes.set_xlabel("accuracy, %")
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, 0), min(high, 100.5))
        sns.despine(ax=axes, left=True)
        return _uri(figure, palette, board)


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
        return _uri(figure, palette, board)


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


def _uri(figure: Figure, palette: Palette, board: Board) -> str:
    """The figure as ``<img>`` source: an image runs no script and keeps its ids to itself."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True,
        metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
    )  # fmt: skip
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    colours = DARK | {palette.light(family): palette.dark(family) for family in board.families}
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
