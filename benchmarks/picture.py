"""Results as a picture: a panel for each part."""

from __future__ import annotations

from pathlib import Path

from benchmarks.parts import PARTS
from benchmarks.results import Results

WIDTH, ROW, MARGIN = 10.0, 0.3, 1.1
"""Inches: of the picture, of a row, and of what stands around a panel."""


def draw(found: Results, path: Path) -> None:
    """Panels one below the other, each as high as it has rows."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    shown = [name for name in PARTS if found.rows.get(name)]
    if not shown:
        return
    heights = [ROW * len(found.rows[name]) + MARGIN for name in shown]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    FigureCanvasSVG(figure)
    where = found.machine.get("gpu", f"{found.machine['processor']}, one thread")
    figure.suptitle(f"{where}, torch {found.machine['torch']}", fontsize="medium")
    panels = figure.subplots(len(shown), squeeze=False, height_ratios=heights)[:, 0]
    for name, axes in zip(shown, panels, strict=True):
        PARTS[name].draw(axes, found.rows[name])
        axes.set_title(PARTS[name].title, loc="left", fontsize="medium")
        axes.tick_params(labelsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "benchmarks"}):
        figure.savefig(path, metadata={"Date": None})
