"""Figures as files, for papers and slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from io import BytesIO
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report.figures.style import Picture, drawing, style, svg
from bench.store.atomic import utf8, write_atomically
from bench.store.checked import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
DPI = 200
"""Of PNG: 7 inches are 1,400 pixels."""


def save_figures(
    pictures: Iterable[Picture],
    folder: str | Path,
    formats: Sequence[str] = FORMATS,
    problems: list[Problem] | None = None,
) -> list[Path]:
    """Writes ``<name>.<format>`` for each picture: light colours on white, no dates, so that the
    same figure is the same file; PDF holds its fonts as TrueType.

    Args:
        pictures: to be drawn.
        folder: made where it does not exist.
        formats: of `FORMATS`.
        problems: a picture that cannot be drawn is left out and added to it; None: it raises.

    Returns:
        The files, picture by picture. Of pictures of one name the second is ``<name>-2``.

    Raises:
        CannotWriteError: a file cannot be written.
    """
    used: Counter[str] = Counter()
    paths = []
    for picture in pictures:
        used[picture.name] += 1
        number = f"-{used[picture.name]}" if used[picture.name] > 1 else ""
        files: dict[str, bytes] = {}
        with drawing(picture, problems):
            files = _rendered(picture, formats)
        for kind, content in files.items():
            path = Path(folder) / f"{picture.name}{number}.{kind}"
            write_atomically(path, methodcaller("write", content))
            paths.append(path)
    return paths


def _rendered(picture: Picture, formats: Sequence[str]) -> dict[str, bytes]:
    figure = picture.draw()
    figure.set_dpi(DPI)  # text is wider in some resolutions than in others
    with style():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # else each format would lay it out again
    return {kind: _content(figure, kind) for kind in formats}


def _content(figure: Figure, kind: str) -> bytes:
    if kind == "svg":
        return utf8(svg(figure, transparent=False))
    file = BytesIO()
    none = {"pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    with style():
        figure.savefig(
            file,
            format=kind,
            dpi=DPI,
            facecolor="white",
            metadata=none.get(kind, {"Software": None}),
        )
    return file.getvalue()
