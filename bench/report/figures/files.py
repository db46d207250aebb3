"""Figures as files, for papers and slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.report.figures.style import Picture, style, svg
from bench.store import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
DPI = 200
"""Of PNG: 7 inches are 1,400 pixels."""


def save_figures(
    pictures: Iterable[Picture], folder: str | Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Writes ``<name>.<format>`` for each picture: light colours on white, no dates, so that the
    same figure is the same file; PDF holds its fonts as TrueType.

    Returns:
        The files, picture by picture. Of pictures of one name the second is ``<name>-2``.

    Raises:
        OSError: a file cannot be written.
    """
    used: Counter[str] = Counter()
    paths = []
    for picture in pictures:
        used[picture.name] += 1
        number = f"-{used[picture.name]}" if used[picture.name] > 1 else ""
        figure = picture.draw()
        with style():
            figure.draw_without_rendering()
        figure.set_layout_engine("none")  # else each format would lay it out again
        for kind in formats:
            path = Path(folder) / f"{picture.name}{number}.{kind}"
            write_atomically(path, partial(_write, figure, kind))
            paths.append(path)
    return paths


def _write(figure: Figure, kind: str, file: IO[bytes]) -> None:
    if kind == "svg":
        file.write(svg(figure, transparent=False).encode())
        return
    none = {"pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    with style():
        figure.savefig(
            file,
            format=kind,
            dpi=DPI,
            facecolor="white",
            metadata=none.get(kind, {"Software": None}),
        )
