"""The one style of all figures: colours, markers, text from plugins, and how a figure is stored.

Colours stand in the page's SVG as CSS variables with a light and a dark value, so that a figure
follows the reader's page.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, overload

import matplotlib as mpl
import seaborn as sns
from matplotlib.backends.backend_svg import FigureCanvasSVG

from bench.results.boards import Board
from bench.store.checked import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK, FAINT, CONTEXT, RULE = "#222225", "#6a6a72", "#bdbdb8", "#d9d9d4"
DARK = {INK: "#e4e4e0", FAINT: "#a0a0a8", CONTEXT: "#5c5c62", RULE: "#3c3c42"}
MARKERS = "osD^vP*Xh"
LINES = ("-", "--", ":", "-.")
SVG_DPI = 72
"""Matplotlib's SVG is in points."""
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
        colours = _colour_blind()
        return colours[self.families.index(family) % len(colours)]

    def dark(self, family: str) -> str:
        """On a dark page."""
        r, g, b = mpl.colors.to_rgb(self.light(family))
        lighter = (r + 0.35 * (1 - r), g + 0.35 * (1 - g), b + 0.35 * (1 - b))
        return str(mpl.colors.to_hex(lighter))

    def marker(self, family: str) -> str:
        """For readers who see no colours."""
        return MARKERS[self.families.index(family) % len(MARKERS)]


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn."""

    name: str
    """Stem of a file's name, of the characters a-z, 0-9 and ``-``."""
    alt: str
    """What is to be seen in it, in words and numbers."""
    caption: str
    draw: Callable[[], Figure]
    families: Sequence[str]
    """Those whose colours are in it."""
    fold: str = ""
    """The heading of the fold that it lies in on a page; nothing: it is shown."""
    on_page: bool = True
    """Else a table says it there, and it is drawn for files alone."""


@cache
def _colour_blind() -> list[str]:
    return [str(colour) for colour in sns.color_palette("colorblind").as_hex()]


def picture_name(board: Board, kind: str) -> str:
    """Suite, setting, budget and kind as the stem of a file's name."""
    return slug(board.suite, board.setting, board.budget, kind)


def slug(*parts: str) -> str:
    """``omniglot-5way-5way1shot-standard-scores``: of plugins' text only what a file name bears."""
    return "-".join(re.sub("[^a-z0-9]+", "-", part.lower()).strip("-")[:60] for part in parts)


def short(label: str, width: int = 40) -> str:
    """A label that fits beside a plot, its middle left out; tables have the whole."""
    return shortened([label], width)[0]


def shortened(labels: Sequence[str], width: int = 40) -> list[str]:
    """Labels that fit beside a plot, cut where they stay distinct: about the middle, else there
    where most of them differ."""
    heads = sorted(range(width), key=lambda head: abs(2 * head - width))
    cuts = ([_cut(label, width, head) for label in labels] for head in heads)
    return max(cuts, key=lambda cut: len(set(cut)))


def _cut(label: str, width: int, head: int) -> str:
    if len(label) <= width:
        return label
    return label[:head] + "…" + label[len(label) - (width - 1 - head) :]


def line_style(palette: Palette, family: str, place: int) -> dict[str, Any]:
    """How the line of the `place`-th learner of a family looks."""
    return {
        "color": palette.light(family),
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place % len(LINES)],
        "markersize": 4,
        "linewidth": 1.3,
    }


def beside(
    axes: Axes, x: float, y: float, text: str, color: str, left: bool = False, **style: Any
) -> None:
    """Text beside the axes, at a height in data."""
    axes.annotate(
        text, (x, y), xycoords=("axes fraction", "data"), va="center", annotation_clip=False,
        ha="right" if left else "left", color=color, fontsize=9, parse_math=False,
        xytext=(-4 if left else 0, 0), textcoords="offset points", **style,
    )  # fmt: skip


def plain_text(texts: Iterable[Text]) -> None:
    """A ``$`` in a plugin's name begins no formula."""
    for text in texts:
        text.set_parse_math(False)


def legend_beside(axes: Axes, **options: Any) -> None:
    """A legend of all that has a label."""
    legend = axes.legend(**{"loc": "upper left", "frameon": False, "borderpad": 0} | options)
    plain_text(legend.get_texts())


def style() -> Any:
    """The context to draw and to store figures in."""
    settings = sns.axes_style("ticks") | {
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
        "pdf.fonttype": 42,  # TrueType, as publishers ask
    }
    return mpl.rc_context(settings)


def svg(figure: Figure, transparent: bool = True) -> str:
    """The figure as SVG in light colours, without dates.

    Not by `savefig`, which draws everything twice where there is a layout to be found.
    """
    buffer, canvas, dpi = io.StringIO(), FigureCanvasSVG(figure), figure.dpi
    if transparent:
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set(facecolor="none", edgecolor="none")
    with style():
        if engine := figure.get_layout_engine():
            figure.set_dpi(SVG_DPI)
            engine.execute(figure)
            figure.set_layout_engine("none")
            figure.set_dpi(dpi)  # of the images in it
        canvas.print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    figure.set_dpi(dpi)
    return re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)


@contextmanager
def drawing(picture: Picture, problems: list[Problem] | None) -> Iterator[None]:
    """Where a picture is drawn and rendered: a failure is added to `problems`, once; None raises.

    What is drawn was written by others, and matplotlib raises many kinds.
    """
    try:
        yield
    except Exception as error:
        if problems is None:
            raise
        why = f"could not be drawn: {type(error).__name__}: {error}".strip()
        if (problem := Problem(picture.name, why)) not in problems:
            problems.append(problem)


@overload
def page_svg(picture: Picture, palette: Palette) -> str: ...
@overload
def page_svg(picture: Picture, palette: Palette, problems: list[Problem]) -> str | None: ...
def page_svg(
    picture: Picture, palette: Palette, problems: list[Problem] | None = None
) -> str | None:
    """The picture as an SVG file that follows the light or the dark of the page that shows it.

    With `problems`, None where it could not be drawn, which is added to them.
    """
    drawn = ""
    with drawing(picture, problems):
        drawn = svg(picture.draw())
    if not drawn:
        return None
    light, dark = [], []
    for number, (on_light, on_dark) in enumerate(_colours(palette, picture.families).items()):
        drawn = drawn.replace(on_light, f"var(--c{number})")
        light.append(f"--c{number}:{on_light}")
        dark.append(f"--c{number}:{on_dark}")
    rules = (
        f"<style>:root{{{';'.join(light)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}</style>"
    )
    return drawn.replace("<defs>", rules + "<defs>", 1)


def data_uri(svg_file: bytes) -> str:
    """An ``<img>`` source: an image runs no script and keeps its ids to itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg_file).decode()


def _colours(palette: Palette, families: Iterable[str]) -> dict[str, str]:
    return DARK | {palette.light(family): palette.dark(family) for family in families}
